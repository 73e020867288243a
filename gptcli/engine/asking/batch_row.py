"""A row of a running batch: what of it has run, what is still to run, and where it stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gptcli.engine.arrays import Array
from gptcli.engine.asking.draws import Text
from gptcli.engine.asking.joined import Joined
from gptcli.engine.prompts.common import common_length
from gptcli.engine.state.pages import PagedRow


@dataclass(eq=False)
class Look:
    """Logits after a row's own tokens that are still wanted: at places [at, end).

    take: is given them in their order, some at a time: the first's place, and (places, vocab).
    """

    at: int
    end: int
    take: Callable[[int, Array], None]


@dataclass(eq=False)
class Row:
    """A row in the batch.

    ids: what stands in its row and what is still to run there. text: what is drawn after them,
    None for nothing. look: what is wanted of its own tokens. leader: the row at whose end this one
    begins, and which runs that for it. placed: it holds the pages that are known of its beginning.
    cuts: where a slice of it is to end, rising.
    """

    joined: Joined[Any]
    ids: list[int]
    text: Text | None = None
    look: Look | None = None
    leader: Row | None = None
    row: PagedRow = field(default_factory=PagedRow)
    placed: bool = False
    known: int = 0  # pages that the pool knows
    cuts: list[int] = field(default_factory=list)
    drawn: int = 0

    @property
    def due(self) -> int:
        """How many tokens have not run yet."""
        return len(self.ids) - self.row.length

    @property
    def reads(self) -> bool:
        """Whether logits after its own tokens are still wanted."""
        return self.look is not None and self.look.at < self.look.end

    @property
    def draws(self) -> bool:
        """Whether it only waits for its next token."""
        return self.placed and self.due == 1 and self.drawn > 0

    @property
    def over(self) -> bool:
        """Whether it has drawn all that it may."""
        return self.text is None or self.drawn >= self.text.draws.max_new_tokens

    @property
    def lingers(self) -> bool:
        """Whether it is over, and stays for others to begin at its end."""
        return self.text is None and self.placed and self.due == 0

    @property
    def wanted(self) -> int:
        """The first place after which logits are wanted."""
        if self.look is not None and self.reads:
            return self.look.at
        return len(self.ids) - (self.text is not None)

    def piece(self, room: int, heads: int) -> Piece:
        """What runs of it next: at most so many tokens, and logits where it reads."""
        start, most = self.row.length, min(self.due, room)
        first = max(self.wanted - start, 0)
        if self.reads:
            most = min(most, first + heads)
        most = min([most, *(cut - start for cut in self.cuts if cut > start)])
        ids = self.ids[start : start + most]
        return Piece(self, ids, min(first, len(ids)))

    def whole(self, size: int) -> list[int]:
        """The tokens of whole pages, of `size` each, that it may take from others.

        Its last token always runs, and all after which logits are wanted: these are not kept.
        """
        return self.ids[: min(self.wanted, len(self.ids) - 1) // size * size]


@dataclass(frozen=True)
class Piece:
    """Tokens of a row that run in one step; logits are wanted from number `wanted` of them on."""

    row: Row
    ids: list[int]
    wanted: int


def cuts(row: Row, waiting: Iterable[Sequence[int]], size: int) -> list[int]:
    """Where a state has to be kept that cannot go back: ends of pages, of `size` each.

    There where the row parts from others that wait, and behind the last whole page of its prompt.
    """
    shared = {common_length(row.ids, ids) // size * size for ids in waiting}
    return sorted(shared | {(len(row.ids) - 1) // size * size})
