"""Rows become questions as they are asked for: lazily, bounded, the longest of a window first."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from gptcli.batches.asked import AskedRow, Dialect, Id, Outcome
from gptcli.batches.dialects import openai
from gptcli.batches.keys import content_of, key_of, row_seed, seeded
from gptcli.batches.own import id_of
from gptcli.batches.shard import Shard
from gptcli.errors import GptcliError, InputError
from gptcli.types.batch import Asked, Gone
from gptcli.types.question import Question
from gptcli.types.rows import Row

#: How many rows are looked over for the longest, which are begun first: what is begun last should
#: not be what takes long. The same number may be open where results are told in order.
WINDOW = 512


class AskedRows:
    """The rows of a run, each with what it asks: see AskedRow. `count`: how many have come."""

    def __init__(
        self,
        rows: Iterator[Row | None],
        dialect: Dialect,
        shard: Shard,
        *,
        mark: str,
        seed: int,
    ) -> None:
        """mark: see `keys.mark_of`; seed: the run's."""
        self.count = 0
        self._rows, self._dialect, self._shard = rows, dialect, shard
        self._mark, self._seed = mark, seed
        self._ids: dict[Id, int] = {}

    def __iter__(self) -> Iterator[AskedRow | None]:
        """None wherever a pipe is about to be waited for."""
        index = 0
        for row in self._rows:
            if row is None:
                yield None
                continue
            # Of every shard's rows, so that all shards agree on which of two is the second.
            asked = self._asked(row, row.fault or self._named_twice(row))
            if self._shard.has(index):
                yield replace(asked, place=self.count)
                self.count += 1
            index += 1

    def _named_twice(self, row: Row) -> InputError | None:
        try:
            found = id_of(row, "custom_id" if openai.is_line(row) else "id")
        except InputError as error:
            return error
        first = found if found is None else self._ids.setdefault(found, row.number)
        if first in (None, row.number):
            return None
        return InputError(row.subject, f"has the id {found!r:.60}, as line {first} has")

    def _asked(self, row: Row, fault: GptcliError | None) -> AskedRow:
        """What a row asks; its place is told later."""
        line, bare = openai.is_line(row), replace(row, values={})
        if fault is None:
            try:
                wanted = self._dialect.wanted(row)
            except InputError as error:
                fault = error
            else:
                content = content_of(wanted)
                if not wanted.seeded:
                    seed = row_seed(self._seed, content)
                    wanted = replace(wanted, question=seeded(wanted.question, seed))
                key = key_of(self._mark, row.number, content)
                return AskedRow(0, bare, wanted, key, wanted.id, openai=line)
        name = row.values.get("custom_id" if line else "id")
        named = name if isinstance(name, str | int) and not isinstance(name, bool) else None
        return AskedRow(0, bare, None, "", named, fault, line)


class Feed:
    """What a BatchRequest takes its questions from; keys are the rows' places.

    done: whether a row is answered already. tell: is given the outcome of a row that asks nothing.
    ordered: rows are given in their order, and no more are open than WINDOW until `told`; else the
    longest of so many come first. ready: whether something has come of a pipe that was about to be
    waited for.
    """

    def __init__(
        self,
        rows: AskedRows,
        *,
        done: Callable[[AskedRow], bool],
        tell: Callable[[Outcome], None],
        ordered: bool,
        ready: Callable[[], bool] = lambda: False,
    ) -> None:
        self.failed: GptcliError | None = None
        self._rows = iter(rows)
        self._done, self._tell, self._ordered = done, tell, ordered
        self._held: list[tuple[int, int, AskedRow]] = []
        self._open: dict[int, AskedRow] = {}
        self._untold = 0
        self._ready = ready
        self._over = self._dry = False
        self._turn = threading.Lock()
        self._room = threading.Condition()

    def take(self, *, wait: bool, room: bool = True) -> Asked | Gone | None:
        """See Incoming. May be called by another thread than what tells the answers."""
        if not room:
            return None  # rows do not leave
        with self._turn:
            self._fill(wait=wait)
            if not self._held:
                return None
            asked = heapq.heappop(self._held)[2]
            self._open[asked.place] = asked
            assert asked.wanted is not None
            return Asked(asked.place, asked.wanted.question)

    def ended(self, key: int) -> AskedRow:
        """The row whose answer is over."""
        return self._open.pop(key)

    def told(self) -> None:
        """A result was told in its turn, so that one more may be begun."""
        with self._room:
            self._untold -= 1
            self._room.notify_all()

    def stop(self) -> None:
        """Give no more rows."""
        with self._room:
            self._over = True
            self._held.clear()
            self._room.notify_all()

    def _fill(self, *, wait: bool) -> None:
        while not self._over and len(self._held) < (1 if self._ordered else WINDOW):
            if self._ordered and not self._has_room(wait=wait):
                return
            # The next step would wait.
            if self._dry and not wait and not self._ready():
                return
            self._dry = False
            try:
                asked = next(self._rows, self)
            except GptcliError as error:
                # What came before it is answered first.
                self.failed, self._over = error, True
                return
            if asked is self:
                self._over = True
                return
            if asked is None:
                self._dry = True
                if self._held:
                    return
                continue
            assert isinstance(asked, AskedRow)
            self._take_in(asked)

    def _has_room(self, *, wait: bool) -> bool:
        with self._room:
            while self._untold >= WINDOW and not self._over:
                if not wait:
                    return False
                self._room.wait()
        return not self._over

    def _begun(self) -> None:
        with self._room:
            self._untold += 1

    def _take_in(self, asked: AskedRow) -> None:
        if asked.wanted is None:
            self._begun()
            self._tell(Outcome(asked, error=asked.fault))
        elif not self._done(asked):
            self._begun()
            first = 0 if self._ordered else -size_of(asked.wanted.question)
            heapq.heappush(self._held, (first, asked.place, asked))


def size_of(question: Question[object]) -> int:
    """About how long a question is, in characters: what takes longest should not begin last."""
    texts = (getattr(question, name, "") for name in ("prompt", "text", "context"))
    messages = getattr(question, "messages", ())
    return sum(map(len, texts)) + sum(len(each.content) for each in messages)
