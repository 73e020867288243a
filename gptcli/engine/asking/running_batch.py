"""Texts that come and go while others are drawn: one forward for all of them, step after step.

Continuous batching (Orca, OSDI 2022): a text joins at any token and leaves at any. Prompts are
read in slices beside the tokens of the others, so that nobody waits for a long one. What prompts
begin with in whole pages is computed once, see `engine.state.pages`. Each text is what it would be
alone, as far as the runner's numbers do not depend on what runs beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import groupby

from gptcli.engine.arrays import Array, indices, namespace
from gptcli.engine.asking.batch_row import Piece, Row, cuts, whole
from gptcli.engine.asking.drawing import generators
from gptcli.engine.asking.draws import Drawn, Draws, Read, Text, draw_rows, read
from gptcli.engine.asking.history import History
from gptcli.engine.asking.joined import Joined
from gptcli.engine.asking.prefix import common_length
from gptcli.engine.runner import CHUNK, HEAD_ROWS, Runner
from gptcli.engine.state.pages import PAGE, NoPagesError
from gptcli.errors import GptcliError, ResourceError

#: Tokens of prompts that are read in one step beside texts that wait for their next token.
SLICE = 128
#: Texts that run at once, where nothing else is said.
ROWS = 64


class RunningBatch:
    """Texts that run together. pages: how many all of them may take; most: rows at once.

    Where pages run out, the text that came last gives up its own and is computed again later.
    """

    def __init__(
        self, runner: Runner, *, pages: int, most: int = ROWS, page_size: int = PAGE
    ) -> None:
        self.runner = runner
        self.most = most
        self._size = page_size
        self._state = runner.new_pages(pages, size=page_size)
        self._waiting: deque[Row] = deque()
        self._running: list[Row] = []

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self._waiting or self._running)

    @property
    def full(self) -> bool:
        """Whether a text more would have to wait."""
        return len(self._waiting) + len(self._running) >= self.most

    def join(self, prompt: Sequence[int], draws: Draws, samples: int = 1) -> Joined:
        """Samples of a prompt, which is not empty, for the steps to come."""
        draws_any, reads = draws.max_new_tokens > 0, draws.prompt_logprobs is not None
        drawing = range(samples) if draws_any else range(0)
        joined = Joined(
            drawing, len(prompt) if reads else 0, lambda sample: self._leave(joined, sample)
        )
        if reads:
            joined.give_reads([Read(prompt[0], None)])
        leader: Row | None = None
        # Where nothing is drawn, what follows the last token is not wanted.
        ids = list(prompt) if draws_any else list(prompt[:-1])
        for sample, chance in enumerate(generators(draws.seed, max(len(drawing), int(reads)))):
            text = Text(draws, sample, History(list(prompt)), chance)
            told = 1 if reads and sample == 0 else None
            row = Row(joined, text, list(ids), told, leader)
            leader = leader or row
            if ids:
                self._waiting.append(row)
        return joined

    def step(self) -> None:
        """Run every text one step on, and give what is drawn.

        What concerns one text alone ends that one: its Joined raises it.
        """
        while self._waiting and len(self._running) < self.most:
            self._running.append(self._waiting.popleft())
        pieces = self._pieces()
        while pieces and not self._reserved(pieces):
            pieces = [piece for piece in pieces if piece.row.placed]
        if not pieces:
            return
        wanted, start = list[int](), 0
        for piece in pieces:
            wanted += range(start + piece.wanted, start + len(piece.ids))
            start += len(piece.ids)
        logits = self.runner.run([piece.ids for piece in pieces], self._state, wanted)
        drawing, places, at = list[Row](), list[int](), 0
        for piece in pieces:
            row, count = piece.row, len(piece.ids) - piece.wanted
            self._state.pool.remember(row.row, row.ids, row.known)
            row.known = row.row.length // self._size
            if row.reads:
                self._tell(piece, logits[at : at + count])
            at += count
            if row.due:
                continue
            if row.text.draws.max_new_tokens <= 0:
                self._end(row)
                continue
            ready = [row, *self._followers(row)]
            drawing += ready
            places += [at - 1] * len(ready)
        if drawing:
            # Mostly all of them, in order: a copy would take longer than drawing does.
            if places != list(range(len(logits))):
                logits = namespace(logits).take(logits, indices(places, logits), axis=0)
            self._draw(drawing, logits)

    def _pieces(self) -> list[Piece]:
        """What runs next: a token of each text that draws, and slices of prompts."""
        drawing = [row for row in self._running if row.placed and row.due == 1 and row.drawn]
        pieces = [Piece(row, row.row.length, row.ids[-1:], 0) for row in drawing]
        room = SLICE if drawing else CHUNK
        for row in self._running:
            if room <= 0:
                break
            if (row.placed and row.due == 1 and row.drawn) or self._waits(row):
                continue
            if not row.placed:
                self._place(row)
            start, most = row.row.length, min(row.due, room)
            if row.reads:
                most = min(most, HEAD_ROWS)
            most = min([most, *(cut - start for cut in row.cuts if cut > start)])
            ids = row.ids[start : start + most]
            none = len(ids) - (len(ids) == row.due)
            pieces.append(Piece(row, start, ids, 0 if row.reads else none))
            room -= len(ids)
        return pieces

    def _waits(self, row: Row) -> bool:
        """Whether a row that is not begun should wait: another computes what it begins with."""
        if row.placed:
            return False
        leader = row.leader
        if leader is not None and not leader.drawn and self._holds(leader):
            return True
        begins = row.ids[: whole(row, self._size)]
        known = self._state.pool.known(begins)
        others = any(other.placed for other in self._running)
        if others and len(row.ids) - known >= self._size * self._state.pool.left:
            return True  # it would only take what others need next
        for other in self._running:
            if other.placed and other.due > 1:
                shared = common_length(begins, other.ids) // self._size * self._size
                if known < shared and other.row.length < shared:
                    return True
        return False

    def _place(self, row: Row) -> None:
        row.row = self._state.pool.begin(row.ids[: whole(row, self._size)])
        row.known, row.placed = len(row.row.pages), True
        row.joined.reused = max(row.joined.reused, row.row.length)
        if self._state.pool.slots is not None:
            waiting = [other.ids for other in self._running if not other.placed]
            row.cuts = cuts(row, waiting, self._size)

    def _holds(self, row: Row) -> bool:
        return row in self._running or row in self._waiting

    def _followers(self, row: Row) -> list[Row]:
        """Samples that begin where this one stands now, each with a copy of what it holds."""
        found = []
        for other in self._running:
            if other.leader is row and not other.placed and not row.drawn:
                try:
                    other.row = self._state.pool.copy(row.row)
                except NoPagesError:
                    break  # they compute their own when there is room
                other.known, other.placed = row.known, True
                found.append(other)
        return found

    def _reserved(self, pieces: Sequence[Piece]) -> bool:
        """Take pages for what is to run; False where a text gave up its own for that."""
        self._state.rows = [piece.row.row for piece in pieces]
        try:
            self._state.reserve([len(piece.ids) for piece in pieces])
        except NoPagesError:
            last = [row for row in self._running if row.placed][-1]
            if len(pieces) == 1 and pieces[0].row is last:
                held = [row for row in self._running if row is not last and row.row.pages]
                if not held:
                    reason = f"has no room for a text of {len(last.ids)} tokens"
                    self._fail(last.joined, ResourceError("KV cache", reason))
                    return False
            self._put_back(last)
            return False
        return True

    def _put_back(self, row: Row) -> None:
        """Wait again, with what was drawn, to be computed anew: the numbers are the same."""
        self._state.pool.give(row.row)
        row.placed, row.known = False, 0
        self._running.remove(row)
        self._waiting.appendleft(row)

    def _tell(self, piece: Piece, logits: Array) -> None:
        """How expected the prompt's tokens were, those of which it was not told yet."""
        row, prompt = piece.row, piece.row.text.history.prompt
        first = piece.start + piece.wanted + 1  # what the first of the logits are for
        told = row.told or 0
        ids = prompt[max(first, told) : first + len(logits)]
        if ids:
            rows = logits[max(first, told) - first :][: len(ids)]
            row.told = max(first, told) + len(ids)
            try:
                row.joined.give_reads(read(ids, rows, row.text.draws.prompt_logprobs or 0))
            except GptcliError as error:
                self._fail(row.joined, error)

    def _draw(self, rows: Sequence[Row], logits: Array) -> None:
        at = 0
        for joined, group in groupby(rows, lambda row: row.joined):
            some, drawn = list(group), list[Drawn]()
            try:
                if some[0].placed:  # no error of another sample has just ended these
                    drawn = draw_rows([row.text for row in some], logits[at : at + len(some)])
            except GptcliError as error:
                self._fail(joined, error)
            for row, token in zip(some, drawn, strict=False):
                self._drawn(row, token)
            at += len(some)

    def _drawn(self, row: Row, token: Drawn) -> None:
        row.drawn += 1
        row.ids.append(token.id)
        last = token.ends or row.drawn == row.text.draws.max_new_tokens
        if last:
            self._end(row)
        row.joined.give(token, last=last)

    def _leave(self, joined: Joined, sample: int) -> None:
        for row in [*self._running, *self._waiting]:
            if row.joined is joined and row.text.sample == sample:
                self._end(row)

    def _fail(self, joined: Joined, error: GptcliError) -> None:
        """End all samples of a question."""
        for row in [*self._running, *self._waiting]:
            if row.joined is joined:
                self._end(row)
        joined.fail(error)

    def _end(self, row: Row) -> None:
        self._state.pool.give(row.row)
        row.placed = False
        (self._running if row in self._running else self._waiting).remove(row)
