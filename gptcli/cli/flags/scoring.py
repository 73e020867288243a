"""What a text is scored after and beside, and what is told of it."""

from __future__ import annotations

from pathlib import Path

from gptcli.config import MOST, Limit, option
from gptcli.config import check as known
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.compute import Compute


def _dtypes(text: str) -> tuple[str, ...]:
    """The dtypes by their long names. Raises ValueError for what is none, or is named twice."""
    found: list[str] = []
    for part in text.split(","):
        name = str(known(Compute, "dtype", part.strip()))
        if name in found:
            raise ValueError(f"names {name} twice")
        found.append(name)
    return tuple(found)


@dataclass(frozen=True)
class Scoring:
    """What a text is scored after and beside, and what is told of it."""

    context: str = option(
        "",
        "What stands before the text: it is read, and not scored. Spaces at its end belong to the"
        " text.",
        metavar="PREFIX",
        brief="What stands before the text, not scored.",
    )
    diff: str | None = option(
        None,
        "Line the text up with another one.",
        metavar="OTHER",
        brief="Line the text up with another one.",
    )
    diff_file: Path | None = option(None, "Line it up with the text of a file.", metavar="FILE")
    jsonl: bool = option(
        False,
        'Read JSON lines, objects with "text" and perhaps "context", from -f or stdin, and print'
        " one object for each.",
        brief='Read objects with "text", a line each.',
    )
    compare_dtype: tuple[str, ...] = option(
        (),
        "What these dtypes cost against float32 over the text of a file, which TEXT names then: KL"
        " divergence (mean and 99th percentile), perplexity, and how often both find the same token"
        " most probable.",
        metavar="DTYPE,…",
        parse=_dtypes,
        joined=True,
        completer="dtypes",
    )
    stride: int | None = option(
        None,
        "Where a text is longer than the context, begin each window N tokens after the one before."
        " Default: half the context.",
        metavar="N",
        limit=Limit(1, MOST),
    )
    table: bool = option(
        False,
        "Numbers instead of coloured text.",
        panel="Output",
        brief="Numbers instead of coloured text.",
    )
    totals: bool = option(
        False,
        "Only perplexity and the other totals; with JSON, no tokens.",
        panel="Output",
        brief="Only perplexity and the other totals.",
    )

    @property
    def paired(self) -> bool:
        """Whether there is another text to line up with."""
        return self.diff is not None or self.diff_file is not None

    def check_many(self, flag: str) -> None:
        """Raise UsageError for what is done with one text alone, beside a flag for many."""
        self.check_one(flag)
        if self.table:
            raise UsageError("--table", f"cannot be combined with {flag}")

    def check_one(self, flag: str) -> None:
        """Raise UsageError for more than one text, or model, beside a flag for one of them."""
        more = {"--jsonl": self.jsonl, "--diff": self.paired}
        more["--compare-dtype"] = bool(self.compare_dtype)
        for other, given in more.items():
            if given:
                raise UsageError(other, f"cannot be combined with {flag}")

    def check(self, *, json: bool) -> None:
        """Raise UsageError where flags contradict each other."""
        if self.diff is not None and self.diff_file is not None:
            raise UsageError("--diff-file", "cannot be combined with --diff")
        if str(self.diff_file) == "-":
            raise UsageError("--diff-file", "must be a file: stdin is for the first text")
        if self.jsonl and self.paired:
            raise UsageError("--jsonl", "cannot be combined with --diff")
        if self.jsonl and self.context:
            raise UsageError("--context", 'is a key of each line with --jsonl: {"context": "…"}')
        if self.jsonl and self.table:
            raise UsageError("--table", "cannot be combined with --jsonl")
        if json and self.table:
            raise UsageError("--table", "cannot be combined with --json")
        if self.table and self.totals:
            raise UsageError("--table", "cannot be combined with --totals")
        if self.paired and self.totals and not json:
            raise UsageError("--totals", "cannot be combined with --diff, but for --json")
