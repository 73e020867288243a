"""The rows of a running batch: which of them run, which wait, and whose the pages are."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from gptcli.engine.asking.batch_row import Piece, Row, cuts
from gptcli.engine.asking.joined import Joined
from gptcli.engine.prompts.common import common_length
from gptcli.engine.state.page_memory import NoPagesError
from gptcli.engine.state.paged_state import PagedState
from gptcli.errors import GptcliError, ResourceError


class BatchRows:
    """Rows that run, at most so many at once, and those that wait for it, in their order."""

    def __init__(self, state: PagedState, most: int) -> None:
        self.state, self.most = state, most
        self.waiting: deque[Row] = deque()
        self.running: list[Row] = []
        self._size = state.pool.size

    def __len__(self) -> int:
        return len(self.waiting) + len(self.running)

    def admit(self) -> None:
        """Let run what there is room for, and begin what was waiting for another's end."""
        while self.waiting and len(self.running) < self.most:
            self.running.append(self.waiting.popleft())
        for row in [row for row in self.running if row.lingers]:
            self.part(row)

    def waits(self, row: Row) -> bool:
        """Whether a row that is not begun should wait: another computes what it begins with."""
        if row.placed:
            return False
        leader = row.leader
        if leader is not None and not leader.drawn and self._holds(leader):
            return True
        begins = row.whole(self._size)
        known = self.state.pool.known(begins)
        others = any(other.placed for other in self.running)
        if others and len(row.ids) - known >= self._size * self.state.pool.left:
            return True  # it would only take what others need next
        for other in self.running:
            if other.placed and other.due > 1:
                shared = common_length(begins, other.ids) // self._size * self._size
                if known < shared and other.row.length < shared:
                    return True
        return False

    def place(self, row: Row) -> None:
        """Give a row what is known of its beginning."""
        row.row = self.state.pool.begin(row.whole(self._size))
        row.known, row.placed = len(row.row.pages), True
        if not row.drawn:
            row.joined.reused = max(row.joined.reused, row.row.length)
        if self.state.pool.slots is not None:
            waiting = [other.ids for other in self.running if not other.placed]
            row.cuts = cuts(row, waiting, self._size)

    def remember(self, row: Row) -> None:
        """Know what has just run of it, for others that begin alike."""
        self.state.pool.remember(row.row, row.ids, row.known)
        row.known = row.row.length // self._size

    def _holds(self, row: Row) -> bool:
        return row in self.running or row in self.waiting

    def followers(self, row: Row) -> list[Row]:
        """Rows that begin where this one stands now, each with a copy of what it holds."""
        found = []
        for other in self.running:
            if other.leader is row and not other.placed and not row.drawn:
                try:
                    other.row = self.state.pool.copy(row.row)
                except NoPagesError:
                    break  # they compute their own when there is room
                other.known, other.placed = row.known, True
                found.append(other)
        return found

    def part(self, row: Row) -> None:
        """Let others begin where this one has ended, which stays until the last of them has."""
        self.followers(row)
        short = any(other.leader is row and not other.placed for other in self.running)
        if short or not any(other.leader is row for other in self.waiting):
            self.end(row)

    def forgo(self) -> None:
        """Let go of what only stays for others: nothing else can move."""
        for row in [row for row in self.running if row.lingers]:
            self.end(row)

    def reserved(self, pieces: Sequence[Piece]) -> bool:
        """Take pages for what is to run; False where a text gave up its own for that."""
        self.state.rows = [piece.row.row for piece in pieces]
        try:
            self.state.reserve([len(piece.ids) for piece in pieces])
        except NoPagesError:
            last = [row for row in self.running if row.placed][-1]
            if len(pieces) == 1 and pieces[0].row is last:
                held = [row for row in self.running if row is not last and row.row.pages]
                if not held:
                    reason = f"has no room for a text of {len(last.ids)} tokens"
                    self.fail(last.joined, ResourceError("KV cache", reason))
                    return False
            self._put_back(last)
            return False
        return True

    def _put_back(self, row: Row) -> None:
        """Wait again, with what was drawn, to be computed anew: the numbers are the same."""
        self.state.pool.give(row.row)
        row.placed, row.known = False, 0
        self.running.remove(row)
        self.waiting.appendleft(row)

    def go_back(self, row: Row) -> None:
        """Let go of what a row holds, of which a part was taken back, to be computed anew.

        Its last pages may be others' as well, and are not written to a second time.
        """
        self.state.pool.give(row.row)
        row.placed, row.known = False, 0

    def leave(self, joined: Joined[Any], sample: int | None) -> None:
        """End a sample of a question; None ends all of it."""
        for row in [*self.running, *self.waiting]:
            one = row.text is not None and row.text.sample == sample
            if row.joined is joined and (one or sample is None):
                self.end(row)

    def fail(self, joined: Joined[Any], error: GptcliError) -> None:
        """End all of a question, which raises this."""
        self.leave(joined, None)
        joined.fail(error)

    def end(self, row: Row) -> None:
        """Take a row out, and its pages."""
        self.state.pool.give(row.row)
        row.placed = False
        (self.running if row in self.running else self.waiting).remove(row)
