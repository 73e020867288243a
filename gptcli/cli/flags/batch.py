"""Many rows in one run: where they come from, where their results go, and how it is taken up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gptcli.batches.shard import Shard
from gptcli.cli.flags.answers import KINDS
from gptcli.cli.flags.source import Spoken
from gptcli.config import Limit, key_of, option, options_of
from gptcli.errors import UsageError
from gptcli.plain import dataclass

_PANEL = "Many rows"


#: Help of --output in commands whose answer it may take as well.
OUTPUT = (
    "Write the answer to a file, once it is whole. With --batch the results, JSON lines in the"
    " order of the rows, when all are done; until then they are in OUT.journal. Default: stdout."
)


@dataclass(frozen=True)
class Batch:
    """Rows of a file, each asked by itself, and one file of results."""

    batch: Path | None = option(
        None,
        "Ask once for each row of a file: JSONL, CSV or TSV by the name, else a line each; - is"
        " stdin. Lines of OpenAI's batch files are rows of complete and chat, and get results of"
        " that form.",
        metavar="FILE",
        panel=_PANEL,
        brief="Ask once for each row of a file; - is stdin.",
        stdin=True,
    )
    batch_format: str | None = option(
        None,
        f"What it holds, whatever its name says: {', '.join(KINDS)}.",
        metavar="KIND",
        panel=_PANEL,
        choices=KINDS,
    )
    output: Path | None = option(
        None,
        "Write the results, JSON lines in the order of the rows, to a file when all are done; until"
        " then they are in OUT.journal. Default: stdout, as soon as those before are done.",
        *("-o", "--output"),
        metavar="OUT",
        panel=_PANEL,
    )
    resume: bool = option(
        False,
        "Go on where a run with the same rows and settings was stopped, by whatever; rows that were"
        " errors, or are others now, are run again.",
        panel=_PANEL,
    )
    fail_fast: bool = option(
        False, "Stop at the first row that is an error, instead of telling of it.", panel=_PANEL
    )
    shard: Shard | None = option(
        None,
        "Only every N-th row, from the K-th on: one machine's share.",
        metavar="K/N",
        panel=_PANEL,
        parse=Shard.parse,
    )
    parallel: int | None = option(
        None,
        "Answer N rows at once. Default: as many as is best where they are answered.",
        metavar="N",
        panel=_PANEL,
        limit=Limit(1, 4096),
    )

    ray: str | None = option(
        None,
        "Answer on a Ray cluster: HOST:PORT, ray://HOST:PORT, auto for the one of this machine, or"
        " local for a new one. Each worker opens the model, or asks the endpoint, by itself.",
        metavar="ADDRESS",
        panel=_PANEL,
    )
    workers: int | None = option(
        None,
        "With --ray: how many. Default: one for each GPU, or without any for each machine.",
        metavar="N",
        panel=_PANEL,
        limit=Limit(1, 4096),
    )

    @property
    def wanted(self) -> bool:
        """Whether there is a file of rows. Raises UsageError where only the rest is given."""
        if self.batch is None:
            for field, _ in options_of(Batch):
                if getattr(self, field.name):
                    raise UsageError(f"--{key_of(field.name)}", "needs --batch FILE")
        elif self.resume and self.to_stdout:
            raise UsageError("--resume", "needs -o FILE, which is what it goes on with")
        elif self.workers is not None and self.ray is None:
            raise UsageError("--workers", "needs --ray ADDRESS")
        return self.batch is not None

    @property
    def wanted_or_answer(self) -> bool:
        """As `wanted`, where -o may also be a file for the one answer that is asked for."""
        return self.wanted if self.batch is not None else replace(self, output=None).wanted

    @property
    def to_stdout(self) -> bool:
        """Whether results go to stdout."""
        return self.output is None or str(self.output) == "-"

    def refuse(self, source: Spoken, **others: object) -> None:
        """Raise UsageError for a text beside --batch, and for flags that have no use there, each by
        its field's name.
        """
        named: dict[str, object] = {"the text": source.prompt, "--prompt": source.prompt_option}
        named |= {"--file": source.file, "--verbatim": source.verbatim}
        named |= {"--no-stdin": source.no_stdin}
        for flag, value in (named | {f"--{key_of(n)}": v for n, v in others.items()}).items():
            if value:
                raise UsageError(flag, "cannot be combined with --batch")
