"""What `gptcli few-shot` answers, with what, and how the answers are judged."""

from __future__ import annotations

from pathlib import Path

from gptcli.config import Limit, key_of, option
from gptcli.errors import UsageError
from gptcli.plain import dataclass

_LABELS, _EVALUATION = "Labels", "Evaluation"
KINDS = ("jsonl", "csv", "tsv", "lines")
MATCHES = ("exact", "loose")


@dataclass(frozen=True)
class Queries:
    """Many inputs to answer."""

    queries: Path | None = option(
        None,
        "Many queries: JSONL, CSV or TSV by the name, else a line each; - is stdin.",
        metavar="FILE",
        brief="Many queries, a line each; - is stdin.",
        stdin=True,
    )
    queries_format: str | None = option(
        None,
        f"What --queries, --evaluate or stdin holds, whatever the name says: {', '.join(KINDS)}.",
        metavar="KIND",
        choices=KINDS,
    )


@dataclass(frozen=True)
class Labels:
    """Labels whose probabilities are compared, in place of free answers."""

    label: tuple[str, ...] = option(
        (),
        "Answer with one of these: their probabilities are compared. Repeatable.",
        metavar="TEXT",
        panel=_LABELS,
        brief="Answer with one of these. Repeatable.",
    )
    classify: bool = option(
        False, "The same, the labels being the outputs of the examples.", panel=_LABELS
    )
    calibrate: bool = option(
        False,
        "Divide by what each label is worth for inputs without content (N/A, [MASK], none); with"
        " --order similar that is asked anew for each query.",
        panel=_LABELS,
    )


@dataclass(frozen=True)
class Evaluation:
    """Answers that are held to those that are due."""

    evaluate: Path | None = option(
        None,
        "Answer the inputs of a file and compare with its outputs.",
        metavar="FILE",
        panel=_EVALUATION,
        brief="Compare answers with the outputs of a file.",
        stdin=True,
    )
    match: str | None = option(
        None,
        "exact, or loose: without regard to case, spaces and final punctuation. Default: exact.",
        metavar="HOW",
        panel=_EVALUATION,
        choices=MATCHES,
    )
    orders: int | None = option(
        None,
        "Evaluate with N random orders of the examples, and show how far they spread.",
        metavar="N",
        panel=_EVALUATION,
        limit=Limit(2, 1000),
    )
    leave_one_out: bool = option(
        False,
        "Evaluate without each example in turn, and show what each adds.",
        panel=_EVALUATION,
    )

    def check(self) -> None:
        """Raise UsageError for what says how to evaluate where nothing is evaluated."""
        ways = {"match": self.match, "orders": self.orders, "leave_one_out": self.leave_one_out}
        for name, value in ways.items():
            if value and self.evaluate is None:
                raise UsageError(f"--{key_of(name)}", "needs --evaluate FILE")
