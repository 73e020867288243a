"""A text in a running batch: what of it has run, what is still to run, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gptcli.engine.asking.draws import Text
from gptcli.engine.asking.joined import Joined
from gptcli.engine.asking.prefix import common_length
from gptcli.engine.state.pages import PagedRow


@dataclass(eq=False)
class Row:
    """A text in the batch.

    ids: what stands in its row and what is still to run there. told: of how many tokens of the
    prompt it was told how expected they were; None where nobody asks. leader: the sample that
    reads the prompt for this one too. placed: it holds the pages that are known of its beginning.
    cuts: where a slice of the prompt is to end, rising.
    """

    joined: Joined
    text: Text
    ids: list[int]
    told: int | None = None
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
        """Whether the logits of the prompt's own tokens are still wanted."""
        return self.told is not None and self.told < len(self.text.history.prompt)


@dataclass(frozen=True)
class Piece:
    """Tokens of a row that run in one step; logits are wanted from number `wanted` of them on."""

    row: Row
    start: int
    ids: list[int]
    wanted: int


def whole(row: Row, size: int) -> int:
    """How many tokens of whole pages, of `size` each, a row may take from others.

    Its last token always runs, and all of a prompt whose logits are wanted: these are not kept.
    """
    return 0 if row.reads else (len(row.ids) - 1) // size * size


def cuts(row: Row, waiting: Iterable[Sequence[int]], size: int) -> list[int]:
    """Where a state has to be kept that cannot go back: ends of pages, of `size` each.

    There where the row parts from others that wait, and behind the last whole page of its prompt.
    """
    shared = {common_length(row.ids, ids) // size * size for ids in waiting}
    return sorted(shared | {(len(row.ids) - 1) // size * size})
