"""Rows in, questions asked, results out, and what is told of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from gptcli.backends import Backend
from gptcli.batches import made_with
from gptcli.batches.asked import AskedRow, Outcome
from gptcli.batches.feed import AskedRows
from gptcli.batches.journal import Journal
from gptcli.batches.keys import MARK, mark_of
from gptcli.batches.own import slips
from gptcli.batches.resuming import open_journal
from gptcli.batches.run import InOrder, Kept, Results, Run
from gptcli.batches.shard import Shard
from gptcli.cli.batching.answers import Heard, feed_of
from gptcli.cli.batching.job import Job
from gptcli.cli.batching.settings import content, settings_of
from gptcli.cli.environment import Environment, is_silent
from gptcli.cli.flags.batch import Batch
from gptcli.cli.input.kinds import told_kind
from gptcli.cli.input.lines import STDIN, name_of
from gptcli.cli.input.rows import Tolerant, rows_as_they_come
from gptcli.cli.opening import open_many
from gptcli.errors import GptcliError, ResourceError, UsageError
from gptcli.types.rows import Row
from gptcli.types.sampling import seed_of
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import counting_rows
from gptcli.ui.views import batch as view
from gptcli.units import counted


def run_batch(
    environment: Environment, batch: Batch, job: Job, messages: Messages, *, stats: bool
) -> None:
    """Ask for every row. Raises the error of the first row that is one, when all are done."""
    assert batch.batch is not None
    path = batch.batch
    out = None if batch.to_stdout else batch.output
    stream = out is not None and out.exists() and not out.is_file()
    if out is not None and not stream:
        _check(out, path, resume=batch.resume)
    elif batch.resume:
        raise UsageError("--resume", f"{out} is no file that can be gone on with")
    kind = told_kind(path, batch.batch_format, "--batch")
    reading = Tolerant(job.dialect(0).columns)
    rows = _begun(rows_as_they_come(environment, path, kind, reading))
    for slip in slips(reading.heads):
        messages.hint(f"{name_of(path)}: {slip}")
    settings = settings_of(job.command, (job.compute, job.sampling, *job.groups), job.more)
    with closing(open_many(job.compute, batch, messages)) as backend:
        settings["the model's files"] = content(job.compute)
        started = time.monotonic()
        asked = _Asking(environment, batch, job, messages, backend, rows, settings)
        if out is None:
            run = asked.streamed(environment.data())
        elif stream:
            with out.open("w", encoding="utf-8", newline="") as file:
                run = asked.streamed(DataWriter(file))
        else:
            run = asked.kept(out)
    if reading.empty:
        lines = counted(reading.empty, "empty line")
        messages.hint(f"{name_of(path)}: {lines} passed over")
    if stats:
        taken, seed = time.monotonic() - started, asked.seed if job.draws else None
        messages.report(view.stats_lines(run.tally, taken, job.compute.model, seed))
    if run.tally.first is not None:
        raise _of_rows(run)


@dataclass
class _Asking:
    """One run over the rows."""

    environment: Environment
    batch: Batch
    job: Job
    messages: Messages
    backend: Backend
    rows: Iterator[Row | None]
    settings: dict[str, Any]
    seed: int = 0
    said: bool = False

    def streamed(self, writer: DataWriter) -> Run:
        """Results in order, to a stream."""
        self.seed, self.said = seed_of(self.job.sampling), self.job.sampling.seed is not None
        results = InOrder(
            lambda outcome: writer.json_text(view.line(outcome, self.job.body)),
            fail_fast=self.batch.fail_fast,
        )
        return self._run(results, self._asked(), done=lambda _: False)

    def kept(self, out: Path) -> Run:
        """Results in a journal, and at the end in a file."""
        wish = self.job.sampling
        new = seed_of(wish)
        journal = open_journal(
            out, self.settings, wish.seed, new, resume=self.batch.resume, shard=str(self._shard)
        )
        with closing(journal):
            self.seed, self.said = journal.seed, journal.said
            results = Kept(
                journal,
                lambda outcome: view.line(outcome, self.job.body),
                fail_fast=self.batch.fail_fast,
            )
            rows = self._asked()
            try:
                run = self._run(
                    results,
                    rows,
                    done=lambda asked: journal.has(asked.place, asked.key[MARK:]),
                    before=journal.found,
                )
            except (KeyboardInterrupt, SystemExit):
                if not journal.needless:
                    text = view.stopped(journal.kept, journal.path.name)
                    self.messages.info(f"{out}: {text}")
                raise
            except GptcliError as error:
                if journal.needless:
                    raise
                hint = f"{journal.path.name} has what was done, --resume goes on"
                hint = f"{error.hint}; {hint}" if error.hint else hint
                raise type(error)(error.subject, error.reason, hint) from None
            self._finish(journal, rows.count, run)
        return run

    def _finish(self, journal: Journal, rows: int, run: Run) -> None:
        before = journal.found - journal.changed
        journal.finish(rows)
        made_with.remember(self._mark, self.settings, self.seed if self.said else None)
        if journal.changed:
            text = (
                f"{journal.changed} of the rows that were done are others now, and were run again"
            )
            self.messages.hint(f"{self.batch.batch}: {text}")
        self.messages.info(f"{journal.out}: {view.summary(run.tally, before)}")

    def _asked(self) -> AskedRows:
        dialect = self.job.dialect(self.seed)
        return AskedRows(self.rows, dialect, self._shard, mark=self._mark, seed=self.seed)

    def _ready(self) -> bool:
        """Whether more has come of stdin; what else could be waited for cannot be asked."""
        stdin = str(self.batch.batch) == STDIN
        return stdin and not is_silent(self.environment.stdin_buffer, 0)

    @property
    def _mark(self) -> str:
        return mark_of(self.settings, self.seed if self.said else None)

    @property
    def _shard(self) -> Shard:
        return self.batch.shard or Shard()

    def _run(
        self,
        results: Results,
        rows: AskedRows,
        *,
        done: Callable[[AskedRow], bool],
        before: int = 0,
    ) -> Run:
        run = Run(results, fail_fast=self.batch.fail_fast)
        feed = feed_of(rows, run, results, done=done, ready=self._ready)
        heard = Heard(self.messages)
        total = _total(self.batch, self.messages)
        with counting_rows(str(self.batch.batch), total, self.messages) as show:
            tally = run.tally
            run.moved = lambda: show(before + tally.done, run.pieces or tally.prompt_tokens)
            for outcome in run.outcomes(self.backend, feed, self.batch.parallel):
                heard.hear(outcome)
                run.moved()
        return run


def _check(out: Path, rows: Path, *, resume: bool) -> None:
    """What can be said before a model is opened. Raises UsageError."""
    if out.suffix.lower() in (".csv", ".tsv"):
        raise UsageError("--output", f"{out}: results are JSON lines, whatever the rows are")
    if str(rows) != STDIN and out.exists() and rows.exists() and out.samefile(rows):
        raise UsageError("--output", f"{out} is the file of rows")
    if out.exists() and not resume:
        raise UsageError(str(out), "is there already", "--resume checks and completes it")
    if not out.parent.is_dir():
        raise ResourceError(str(out), "No such file or directory")


def _begun(rows: Iterator[Row | None]) -> Iterator[Row | None]:
    """The same rows, once it is known that there are some: a model takes a while to open."""
    return chain([next(rows)], rows)


def _total(batch: Batch, messages: Messages) -> int | None:
    """About how many rows there are, for a bar alone; None where that cannot be told."""
    path = batch.batch
    if path is None or not path.is_file() or not messages.console.file.isatty():
        return None
    with path.open("rb") as file:
        lines = sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
    return lines // (batch.shard or Shard()).of


def _of_rows(run: Run) -> GptcliError:
    """The first row's error, as that of the whole run."""
    first = run.tally.first
    assert first is not None and first.error is not None
    error, more = _named(first), run.tally.errors - 1
    hint = f"and {more} more of {run.tally.done} rows are errors" if more else error.hint
    return type(error)(error.subject, error.reason, hint)


def _named(outcome: Outcome) -> GptcliError:
    """An error with the row that it is of."""
    error, subject = outcome.error, outcome.asked.row.subject
    assert error is not None
    if error.subject.startswith(subject):
        return error
    return type(error)(f"{subject}: {error.subject}", error.reason, error.hint)
