"""A run: how far it reads ahead, in which order it asks, and what ends it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from gptcli.batches.asked import Outcome
from gptcli.batches.dialects.completion import Completions
from gptcli.batches.feed import WINDOW, AskedRows, Feed
from gptcli.batches.run import InOrder, Run
from gptcli.batches.shard import Shard
from gptcli.errors import GptcliError, InputError, ModelError, NetworkError, UsageError
from gptcli.types.batch import Asked, BatchRequest, Ended, Told
from gptcli.types.completion import Request
from gptcli.types.rows import Row

DIALECT = Completions(Request(""))


def rows(count: int, read: list[int] | None = None, **more: Any) -> Iterator[Row]:
    for at in range(1, count + 1):
        if read is not None:
            read.append(at)
        yield Row(f"r: line {at}", at, {"prompt": "x" * (at * 7 % 10 + 1)} | more)


def asked(source: Iterator[Row | None]) -> AskedRows:
    return AskedRows(source, DIALECT, Shard(), mark="", seed=1)


def feed_of(source: Iterator[Row | None], told: list[Outcome], *, ordered: bool) -> Feed:
    return Feed(asked(source), done=lambda _: False, tell=told.append, ordered=ordered)


def taken(feed: Feed) -> list[Asked]:
    found = []
    while isinstance(each := feed.take(wait=False), Asked):
        found.append(each)
    return found


def test_the_longest_of_a_window_come_first():
    """Catches a long row that is begun last, and a file that is read whole at once."""
    read: list[int] = []
    feed = feed_of(rows(2 * WINDOW, read), [], ordered=False)
    first = feed.take(wait=True)
    assert isinstance(first, Asked) and len(first.question.prompt) == 10
    assert len(read) == WINDOW
    sizes = [len(each.question.prompt) for each in taken(feed)]
    assert len(sizes) == 2 * WINDOW - 1
    assert sizes[:20] == [10] * 20
    assert feed.take(wait=True) is None


def test_what_is_told_in_order_is_read_as_far_as_is_told():
    """Catches results that pile up behind a slow one, and a reader that is never woken."""
    read: list[int] = []
    feed = feed_of(rows(WINDOW + 9, read), [], ordered=True)
    found = taken(feed)
    assert [each.key for each in found] == list(range(WINDOW))
    assert len(read) == WINDOW
    more: list[Any] = []
    waiting = threading.Thread(target=lambda: more.append(feed.take(wait=True)))
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    feed.told()
    waiting.join(20)
    assert more[0].key == WINDOW


def test_a_pipe_is_not_waited_for_while_there_is_work():
    """Catches an answer that has to wait until another question has come."""
    steps: list[str] = []

    def source() -> Iterator[Row | None]:
        yield from rows(1)
        yield None
        steps.append("waited")
        yield from rows(1)

    feed = feed_of(source(), [], ordered=True)
    assert isinstance(feed.take(wait=True), Asked)
    assert [feed.take(wait=False) for _ in range(3)] == [None] * 3
    assert not steps
    assert isinstance(feed.take(wait=True), Asked)
    assert steps


class Fails:
    """A place that ends each question with an error, or answers it with its prompt."""

    def __init__(self, errors: dict[int, GptcliError], *, backwards: bool = False) -> None:
        self.errors, self.backwards = errors, backwards

    def answer(self, request: BatchRequest) -> Iterator[Told | Ended]:
        found = []
        while isinstance(each := request.incoming.take(wait=True), Asked):
            found.append(each)
        for asked in reversed(found) if self.backwards else found:
            yield Told(asked.key, asked.question)
            yield Ended(asked.key, self.errors.get(asked.key))


def ran(
    place: Fails, source: Iterator[Row | None], lines: list[int], *, fail_fast: bool = False
) -> Run:
    """A run whose results are told in order; `lines` gets those of the rows that are told."""
    results = InOrder(lambda outcome: lines.append(outcome.asked.row.number), fail_fast=fail_fast)
    run = Run(results, fail_fast=fail_fast)
    feed = Feed(asked(source), done=lambda _: False, tell=run.add, ordered=True)
    run.stop, results.told = feed.stop, feed.told
    for _ in run.outcomes(place, feed, None):  # type: ignore[arg-type]
        pass
    return run


def test_results_are_told_in_order_whatever_comes_first():
    """Catches a result that overtakes another, and an error that does."""
    bad: dict[int, GptcliError] = {3: InputError("prompt", "is too odd")}
    lines: list[int] = []
    run = ran(Fails(bad, backwards=True), rows(9), lines)
    assert lines == list(range(1, 10))
    assert (run.tally.done, run.tally.errors) == (9, 1)
    bad |= {7: InputError("prompt", "is too even")}
    lines.clear()
    with pytest.raises(InputError, match="too odd"):
        ran(Fails(bad, backwards=True), rows(9), lines, fail_fast=True)
    assert lines == [1, 2, 3]


def test_an_error_of_all_rows_ends_all():
    """Catches a place that is gone and is asked for every row all the same."""
    gone: dict[int, GptcliError] = {at: NetworkError("host", "is mute") for at in range(99)}
    lines: list[int] = []
    with pytest.raises(NetworkError):
        ran(Fails(gone), rows(99), lines)
    assert len(lines) == 15
    # One now and then is a row's own misfortune.
    some = {at: error for at, error in gone.items() if at % 3}
    assert ran(Fails(some), rows(99), lines).tally.errors == 66
    for error in (ModelError("m", "is broken"), UsageError("--rows", "must be less")):
        with pytest.raises(type(error)):
            ran(Fails({2: error}), rows(5), lines)
    # Where the row says settings, it may be these.
    assert ran(Fails({2: UsageError("x", "y")}), rows(5, top_k=3), lines).tally.errors == 1


def test_an_input_that_breaks_off_is_told_last():
    """Catches answers that an unreadable rest takes away."""

    def source() -> Iterator[Row]:
        yield from rows(3)
        raise InputError("r", "cannot be read")

    lines: list[int] = []
    with pytest.raises(InputError, match="cannot be read"):
        ran(Fails({}), source(), lines)
    assert lines == [1, 2, 3]


def test_every_row_has_one_share():
    """Catches a share that lacks a row."""
    for of in range(1, 9):
        shares = [Shard.parse(f"{k}/{of}") for k in range(1, of + 1)]
        assert all(sum(share.has(index) for share in shares) == 1 for index in range(50))
