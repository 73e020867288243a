"""What becomes of a tensor of the file: which of its rows are stored, in which order, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]
    #: The number of rows → for each stored row, where it is in the file.
    Order = Callable[[int], npt.NDArray[np.intp]]

Shape = tuple[int, ...]
#: Numbers that share a scale in MXFP4.
MXFP4_BLOCK = 32


@dataclass(frozen=True)
class Take:
    """One stored tensor: its name, its source in the file and the source's shape (rows first).

    order: of the rows, None for that of the file. part: (first, last + 1) of the rows that are
    taken, where all axes but the last count as one; `stored` is then the shape. transpose: the
    stored matrix is the source's transpose. shift is added to every number.
    """

    name: str
    source: str
    shape: Shape
    order: Order | None = None
    part: tuple[int, int] | None = None
    stored: Shape | None = None
    transpose: bool = False
    shift: float = 0.0

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

    shape: of each source, the stack's length first; transpose: of each matrix after that.
    """

    name: str
    sources: tuple[str, ...]
    shape: Shape
    transpose: bool = False

    @property
    def stored_shape(self) -> Shape:
        """The shape that it is stored in."""
        count, rows, *rest = self.shape
        inner = (rows * len(self.sources), *rest)
        return (count, *(inner[::-1] if self.transpose else inner))


@dataclass(frozen=True)
class RepackedTake:
    """As Woven, of matrices in MXFP4 that stay in it: their scales, or what they scale.

    In the file a block of 32 numbers is a scale and 16 bytes, of which byte i holds number i and,
    in its upper half, number i + 16. Stored are scales (stack, rows, blocks) and, by themselves,
    blocks (stack, rows, blocks, 16), whose byte i holds numbers 2 i and 2 i + 1, as OpenAI has it.
    """

    name: str
    sources: tuple[str, ...]
    shape: Shape
    scales: bool

    @property
    def stored_shape(self) -> Shape:
        """The shape that it is stored in, in bytes."""
        count, rows, width = self.shape
        blocks = (count, rows * len(self.sources), width // MXFP4_BLOCK)
        return blocks if self.scales else (*blocks, MXFP4_BLOCK // 2)


def repack_mxfp4(blocks: Array, *, scales: bool) -> Array:
    """Blocks of MXFP4 (…, 17 bytes) as RepackedTake stores them."""
    import numpy as np

    if scales:
        return blocks[..., 0]
    low, high = blocks[..., 1:] & 15, blocks[..., 1:] >> 4
    numbers = np.concatenate([low, high], axis=-1)
    found: Array = numbers[..., ::2] | numbers[..., 1::2] << 4
    return found


def rope_order(heads: int) -> Order:
    """Rows as published, from llama.cpp's order for the rotary embedding of its Llama kinds.

    Its converter splits each head's rows into two halves and interleaves them (`permute` in
    convert_hf_to_gguf.py), since its rotary embedding turns neighbours, not halves.
    """

    def order(rows: int) -> npt.NDArray[np.intp]:
        import numpy as np

        found = np.arange(rows).reshape(heads, rows // heads // 2, 2)
        return found.swapaxes(1, 2).reshape(-1)

    return order


def group_order(groups: int, queries: int) -> Order:
    """Rows in groups of `queries` heads of queries, one of keys and one of values.

    The file has all queries first, then all keys, then all values.
    """

    def order(rows: int) -> npt.NDArray[np.intp]:
        import numpy as np

        size = rows // (groups * (queries + 2))
        split = [groups * queries * size, groups * (queries + 1) * size]
        parts = np.split(np.arange(rows), split)
        return np.concatenate([part.reshape(groups, -1) for part in parts], axis=1).reshape(-1)

    return order
