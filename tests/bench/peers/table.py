"""What was measured as rows: a Markdown table for people, plain values for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.peers.best import best
from tests.bench.peers.cases import OURS, Case
from tests.bench.peers.ratios import Ratio, median, ratio
from tests.bench.peers.rounds import Figures
from tests.bench.peers.targets import Target, target

_HEAD = ("measure", "dtype", "threads", "gptcli", "other", "", "ratio", "spread", "target", "")
_RIGHT = {2, 3, 5, 6, 7, 8}
SHORT = "**short**"


@dataclass(frozen=True)
class Row:
    """gptcli against one other side: medians of each, and the ratio."""

    case: Case
    other: str
    ours: float | None
    theirs: float | None
    ratio: Ratio | None
    target: Target | None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none, or no ratio."""
        if self.target is None or self.ratio is None:
            return None
        return self.target.met(self.ratio.median)

    def as_json(self, figures: Figures) -> dict[str, Any]:
        """All of it, and each round's figures, in tokens per second, seconds or bytes."""
        return {
            **asdict(self.case),
            "other": self.other,
            "gptcli": self.ours,
            "theirs": self.theirs,
            "ratio": None if self.ratio is None else asdict(self.ratio),
            "target": None if self.target is None else asdict(self.target),
            "met": self.met,
            "rounds": {name: figures.values[name] for name in (OURS, self.other)},
        }


#: A row, and the figures that it is made of.
Written = tuple[Row, Figures]


def rows(model: str, found: Sequence[Figures], *, avx512: bool = False) -> Iterator[Written]:
    """A row for every other side of every comparison, and for the best of one of them."""
    for each in found:
        for side in each.comparison.others:
            yield _row(model, each, side.name, avx512), each
    for name, each in best(found):
        yield _row(model, each, name, avx512), each


def _row(model: str, figures: Figures, other: str, avx512: bool) -> Row:
    case, ours, theirs = figures.comparison.case, figures.values[OURS], figures.values[other]
    bound = target(model, case, other, avx512=avx512)
    return Row(case, other, median(ours), median(theirs), ratio(ours, theirs), bound)


def markdown(found: Sequence[Row]) -> str:
    """The table, its columns in line."""
    lines = [_HEAD, *(_cells(row) for row in found)]
    widths = [max(3, *(len(line[at]) for line in lines)) for at in range(len(_HEAD))]
    rule = ["-" * (width - 1) + (":" if at in _RIGHT else "-") for at, width in enumerate(widths)]
    shown = [_line(lines[0], widths), f"| {' | '.join(rule)} |"]
    return "\n".join([*shown, *(_line(line, widths) for line in lines[1:])])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    pairs = enumerate(zip(cells, widths, strict=True))
    padded = [
        cell.rjust(width) if at in _RIGHT else cell.ljust(width) for at, (cell, width) in pairs
    ]
    return f"| {' | '.join(padded)} |"


def _cells(row: Row) -> tuple[str, ...]:
    case, ratio = row.case, row.ratio
    return (
        f"{case.measure} at {case.depth}" if case.depth else case.measure,
        case.dtype,
        str(case.threads),
        _figure(case, row.ours),
        row.other,
        _figure(case, row.theirs),
        "–" if ratio is None else f"{ratio.median:.2f}",
        "" if ratio is None else f"{ratio.least:.2f}–{ratio.most:.2f}",
        "" if row.target is None else str(row.target),
        SHORT if row.met is False else "",
    )


def _figure(case: Case, value: float | None) -> str:
    if value is None:
        return "failed"
    return f"{value / case.unit.scale:.{case.unit.digits}f} {case.unit.name}"
