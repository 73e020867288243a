"""How good are answers? The figures: right ones, classes, confusions, calibration."""

from __future__ import annotations

import statistics
from typing import Literal

from gptcli.plain import dataclass

Match = Literal["exact", "loose"]


@dataclass(frozen=True)
class Outcome:
    """What was expected and what was answered.

    confidence: the share of the label that won; due: that of the label that was expected. None
    for free answers.
    """

    expected: str
    answer: str
    confidence: float | None = None
    due: float | None = None


@dataclass(frozen=True)
class ClassFigures:
    """Precision, recall and their harmonic mean for one class; support: how often it was due.

    None where nothing was answered so, or nothing was due.
    """

    name: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class Bin:
    """Answers whose confidence lies in [low, high), or up to 1 in the last bin."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """All figures of at least one answer.

    interval: of the accuracy. `confusion[i][j]`: class i was due and class j answered; None for
    too many. calibration_error: how far confidence is from accuracy, over the bins on average.

    log_loss: the mean of -ln(share of the expected label), None for free answers.
    """

    count: int
    correct: int
    interval: tuple[float, float]
    classes: tuple[ClassFigures, ...]
    confusion: tuple[tuple[int, ...], ...] | None
    calibration_error: float | None
    bins: tuple[Bin, ...]
    log_loss: float | None

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return self.correct / self.count

    @property
    def macro_f1(self) -> float | None:
        """The mean of F1 over the classes that were due or answered, as scikit-learn has it."""
        found = [each.f1 for each in self.classes if each.f1 is not None]
        return statistics.fmean(found) if found else None


@dataclass(frozen=True)
class Accuracies:
    """Those of several runs of one evaluation, at least one."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """Their standard deviation, with n - 1."""
        return statistics.stdev(self.values) if len(self.values) > 1 else 0.0
