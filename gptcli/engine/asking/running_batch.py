"""Rows that come and go while others run: one forward for all of them, step after step.

Continuous batching (Orca, OSDI 2022): a text joins at any token and leaves at any. Prompts are
read in slices beside the tokens of the others, so that nobody waits for a long one. What prompts
begin with in whole pages is computed once, see `engine.state.pages`. What is not drawn, but wanted
of logits after what stands there (`look`, `after`), is a row that only reads. Each is what it would
be alone, as far as the runner's numbers do not depend on what runs beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any, TypeVar

from gptcli.engine.arrays import Array, indices, namespace
from gptcli.engine.asking.batch_row import Look, Piece, Row
from gptcli.engine.asking.batch_rows import BatchRows
from gptcli.engine.asking.draws import Drawn, Draws, draw_rows
from gptcli.engine.asking.joined import Joined
from gptcli.engine.asking.joining import Tell, row_of_look, rows_after, rows_of_text
from gptcli.engine.asking.raw_logprobs import Read
from gptcli.engine.runner import CHUNK, HEAD_ROWS, Runner
from gptcli.engine.state.page_memory import PAGE
from gptcli.errors import GptcliError

T = TypeVar("T")

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
        self._rows = BatchRows(runner.new_pages(pages, size=page_size), most)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do."""
        return not len(self._rows)

    @property
    def full(self) -> bool:
        """Whether a text more would have to wait."""
        return len(self._rows) >= self._rows.most

    def join(self, prompt: Sequence[int], draws: Draws, samples: int = 1) -> Joined[Read]:
        """Samples of a prompt, which is not empty, for the steps to come."""
        drawing = range(samples) if draws.max_new_tokens > 0 else range(0)
        joined = self._joined(drawing, 0 if draws.prompt_logprobs is None else len(prompt))
        self._rows.waiting += rows_of_text(joined, prompt, draws, drawing)
        return joined

    def look(self, ids: Sequence[int], first: int, tell: Tell[T]) -> Joined[T]:
        """What is told of the logits after each of the ids, from place `first` on.

        The GptcliErrors of `tell` end this one alone.
        """
        joined: Joined[T] = self._joined((), len(ids) - first)
        self._rows.waiting.append(row_of_look(joined, ids, first, tell))
        return joined

    def after(
        self, prompt: Sequence[int], rows: Sequence[Sequence[int]]
    ) -> Joined[tuple[int, float]]:
        """See `continuations.logprobs_after`: the log-probability of every token of each row.

        They come with the number of their row, those of a row in its order.
        """
        joined: Joined[tuple[int, float]] = self._joined((), sum(map(len, rows)))
        self._rows.waiting += rows_after(joined, prompt, rows)
        return joined

    def step(self) -> None:
        """Run every row one step on, and give what is drawn and told.

        What concerns one question alone ends that one: its Joined raises it.
        """
        self._rows.admit()
        pieces = self._pieces()
        while pieces and not self._rows.reserved(pieces):
            pieces = [piece for piece in pieces if piece.row.placed]
        if not pieces:
            self._rows.forgo()
            return
        wanted, start = list[int](), 0
        for piece in pieces:
            wanted += range(start + piece.wanted, start + len(piece.ids))
            start += len(piece.ids)
        logits = self.runner.run([piece.ids for piece in pieces], self._rows.state, wanted)
        drawing, places, at = list[Row](), list[int](), 0
        for piece in pieces:
            row, count = piece.row, len(piece.ids) - piece.wanted
            self._rows.remember(row)
            if row.look is not None and row.reads:
                self._tell(row, row.look, logits[at : at + count])
            at += count
            if row.due:
                continue
            if row.text is None:
                self._rows.part(row)
                continue
            ready = [row, *self._rows.followers(row)]
            drawing += ready
            places += [at - 1] * len(ready)
        if drawing:
            # Mostly all of them, in order: a copy would take longer than drawing does.
            if places != list(range(len(logits))):
                logits = namespace(logits).take(logits, indices(places, logits), axis=0)
            self._draw(drawing, logits)

    def _joined(self, samples: Collection[int], reads: int) -> Joined[Any]:
        rows = self._rows
        joined: Joined[Any] = Joined(samples, reads, lambda sample: rows.leave(joined, sample))
        return joined

    def _pieces(self) -> list[Piece]:
        """What runs next: a token of each text that draws, and slices of prompts.

        Of these not more than HEAD_ROWS are read out, whosever they are.
        """
        pieces = [row.piece(1, 1) for row in self._rows.running if row.draws]
        room, heads = SLICE if pieces else CHUNK, HEAD_ROWS
        for row in self._rows.running:
            if room <= 0:
                break
            over = row.draws or row.lingers or (row.reads and heads <= 0)
            if over or self._rows.waits(row):
                continue
            if not row.placed:
                self._rows.place(row)
            pieces.append(piece := row.piece(room, heads))
            room -= len(piece.ids)
            heads -= len(piece.ids) - piece.wanted
        return pieces

    def _tell(self, row: Row, look: Look, logits: Array) -> None:
        """Hand out what is wanted of the row's own tokens."""
        at, some = look.at, logits[: look.end - look.at]
        if not len(some):
            return
        look.at += len(some)
        try:
            look.take(at, some)
        except GptcliError as error:
            self._rows.fail(row.joined, error)

    def _draw(self, rows: Sequence[Row], logits: Array) -> None:
        """A token for each row, at once for those of several questions that are drawn alike."""
        at = 0
        for _, group in groupby(rows, _alike):
            some = list(group)
            own = logits[at : at + len(some)]
            at += len(some)
            try:
                if some[0].joined is not some[-1].joined:
                    self._draw_together(some, own)
                    continue
            except GptcliError:
                pass  # whose error it is shows where each draws by itself
            self._draw_apart(some, own)

    def _draw_apart(self, rows: Sequence[Row], logits: Array) -> None:
        """The same, question by question, whose errors are their own."""
        at = 0
        for joined, group in groupby(rows, lambda row: row.joined):
            some = list(group)
            try:
                self._draw_together(some, logits[at : at + len(some)])
            except GptcliError as error:
                self._rows.fail(joined, error)
            at += len(some)

    def _draw_together(self, rows: Sequence[Row], logits: Array) -> None:
        if not all(row.placed for row in rows):  # an error of another sample has ended some
            left = [at for at, row in enumerate(rows) if row.placed]
            rows = [rows[at] for at in left]
            logits = namespace(logits).take(logits, indices(left, logits), axis=0)
        texts = [row.text for row in rows if row.text is not None]
        for row, given in zip(rows, draw_rows(texts, logits) if texts else (), strict=True):
            self._drawn(row, given)

    def _drawn(self, row: Row, given: Sequence[Drawn]) -> None:
        """A token was drawn for a row, and what is certain of its text is given."""
        assert row.text is not None
        history = row.text.history
        row.drawn = len(history.generated)
        if row.text.pending.went_back:
            self._rows.go_back(row)
            row.ids = [*history.prompt, *history.generated]
        else:
            row.ids.append(history.generated[-1])
        last = row.over or any(token.ends for token in given)
        if last:
            self._rows.end(row)
        for token in given:
            row.joined.give(token, last=last and token is given[-1])


def _alike(row: Row) -> object:
    """Equal for neighbours that may draw at once."""
    assert row.text is not None
    return row.text.draws.alike or row.joined
