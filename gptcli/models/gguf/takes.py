"""What becomes of a tensor of the file: which of its rows are stored, in which order, and how."""

from __future__ import annotations

from dataclasses import dataclass

from gptcli.formats.gguf.taken import Order, StackOrder, TurnOrder

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Take:
    """One stored tensor: its name, its source in the file and the source's shape (rows first).

    order: of the rows, None for that of the file. part: (first, last + 1) of the rows that are
    taken, where all axes but the last count as one; `stored` is then the shape. transpose: the
    stored matrix is the source's transpose. shift is added to every number. log: the logarithm of
    each number's negative is stored. exact: it is stored in float32, whatever others are.

    heads: of rows that stand by turns, which are put together where numbers are written, see
    `plan.published`; of columns where `across`: blocks of numbers do not allow that in place.
    """

    name: str
    source: str
    shape: Shape
    order: Order | None = None
    part: tuple[int, int] | None = None
    stored: Shape | None = None
    transpose: bool = False
    shift: float = 0.0
    log: bool = False
    exact: bool = False
    heads: TurnOrder | None = None
    across: bool = False

    @property
    def source_shape(self) -> Shape:
        """That of the source."""
        return self.shape

    @property
    def sources(self) -> tuple[str, ...]:
        """The tensors of the file that it is made of."""
        return (self.source,)

    @property
    def stored_shape(self) -> Shape:
        """The shape that it is stored in."""
        if self.stored is not None:
            return self.stored
        return self.shape[::-1] if self.transpose else self.shape


@dataclass(frozen=True)
class Woven:
    """A stack of matrices or vectors, each made of one of every source, whose rows take turns.

    shape: of each source, the stack's length first; transpose: of each matrix after that. above:
    the rows of one source stand above those of the next instead. packs: where the sources are in
    MXFP4, config.json can say that the stored stack is. single: of one matrix, stored as that.
    """

    name: str
    sources: tuple[str, ...]
    shape: Shape
    transpose: bool = False
    above: bool = False
    packs: bool = False
    single: bool = False

    @property
    def source_shape(self) -> Shape:
        """That of each source."""
        return self.shape[1:] if self.single else self.shape

    @property
    def order(self) -> Order | None:
        """Of the rows of all sources, None where these take turns."""
        return StackOrder(self.shape[0], len(self.sources)) if self.above else None

    @property
    def stored_shape(self) -> Shape:
        """The shape that it is stored in."""
        count, rows, *rest = self.shape
        inner = (rows * len(self.sources), *rest)
        inner = inner[::-1] if self.transpose else inner
        return inner if self.single else (count, *inner)
