"""Answers to rows as they come, and what is told beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gptcli.backends import Backend
from gptcli.batches.asked import AskedRow, Outcome
from gptcli.batches.feed import AskedRows, Feed
from gptcli.batches.run import InOrder, Results, Run
from gptcli.batches.shard import Shard
from gptcli.cli.batching.job import Job
from gptcli.types.events import Notice
from gptcli.types.rows import Row
from gptcli.types.sampling import seed_of
from gptcli.ui.terminal.messages import Messages


def answered(
    rows: Iterator[Row | None], job: Job, backend: Backend, messages: Messages
) -> Iterator[Outcome]:
    """Answers in the order of the rows, as soon as those before are there, up to the first error,
    which is raised: what the older ways to ask for many rows give.
    """
    told: list[Outcome] = []
    results = InOrder(told.append, fail_fast=True)
    run = Run(results, fail_fast=True)
    seed = seed_of(job.sampling)
    asked = AskedRows(rows, job.dialect(seed), Shard(), mark="", seed=seed)
    feed = feed_of(asked, run, results, done=lambda _: False)
    heard = Heard(messages)
    for outcome in run.outcomes(backend, feed, None):
        heard.hear(outcome)
        yield from told
        told.clear()


def feed_of(
    rows: AskedRows,
    run: Run,
    results: Results,
    *,
    done: Callable[[AskedRow], bool],
    ready: Callable[[], bool] = lambda: False,
) -> Feed:
    """What a run takes its questions from, tied to where its results go."""
    ordered = isinstance(results, InOrder)
    feed = Feed(rows, done=done, tell=run.add, ordered=ordered, ready=ready)
    run.stop = feed.stop
    if isinstance(results, InOrder):
        results.told = feed.told
    return feed


class Heard:
    """Notices that come with answers, each told once."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._told: set[Notice] = set()

    def hear(self, outcome: Outcome) -> None:
        """Tell what is new."""
        for part in outcome.parts:
            found = [part] if isinstance(part, Notice) else getattr(part, "notices", ())
            for notice in found:
                if notice not in self._told:
                    self._told.add(notice)
                    self._messages.notices([notice])
