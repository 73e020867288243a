"""How a stored tensor is made of tensors of GGUF files that stay where they are, as data.

A tensor of a file is taken as rows: of a matrix, or of a stack of them, the rows one after the
other; of a vector each number is a row. Rows are never taken apart, so that blocks of numbers that
share a scale need not be.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from gptcli.plain import dataclass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.intp]

#: Types that hold a number by itself, and the dtype of safetensors that holds the same numbers.
PLAIN = {"F32": "F32", "F16": "F16", "BF16": "BF16", "F64": "F32"}


@dataclass(frozen=True)
class GgufRows:
    """A tensor of a file: `count` rows of `columns` numbers, in bytes [begin, end) of `file`.

    type: ggml's word.
    """

    file: Path
    type: str
    count: int
    columns: int
    begin: int
    end: int


@dataclass(frozen=True)
class RopeOrder:
    """Rows as published, from llama.cpp's order for the rotary embedding of its Llama kinds.

    Its converter splits each head's rows into two halves and interleaves them (`permute` in
    convert_hf_to_gguf.py), since its rotary embedding turns neighbours, not halves.
    """

    heads: int

    def __call__(self, rows: int) -> Numbers:
        """Where in the file each of so many rows is."""
        import numpy as np

        found = np.arange(rows).reshape(self.heads, rows // self.heads // 2, 2)
        return found.swapaxes(1, 2).reshape(-1)


@dataclass(frozen=True)
class GroupOrder:
    """Rows in groups of `queries` heads of queries, one of keys and one of values.

    The file has all queries first, then all keys, then all values.
    """

    groups: int
    queries: int

    def __call__(self, rows: int) -> Numbers:
        """Where in the file each of so many rows is."""
        import numpy as np

        size = rows // (self.groups * (self.queries + 2))
        split = [self.groups * self.queries * size, self.groups * (self.queries + 1) * size]
        parts = np.split(np.arange(rows), split)
        return np.concatenate([part.reshape(self.groups, -1) for part in parts], axis=1).reshape(-1)


@dataclass(frozen=True)
class StackOrder:
    """A stack of matrices, each made of one of every source, one above the other.

    Without it the rows of the sources take turns.
    """

    stacks: int
    sources: int

    def __call__(self, rows: int) -> Numbers:
        """The number of each of so many rows of all sources together."""
        import numpy as np

        found = np.arange(rows).reshape(self.stacks, -1, self.sources)
        return found.swapaxes(1, 2).reshape(-1)


@dataclass(frozen=True)
class PartOrder:
    """Rows of one part after the other, of groups that each have some of every part."""

    groups: int
    parts: int

    def __call__(self, rows: int) -> Numbers:
        """Where in the file each of so many rows is."""
        import numpy as np

        found = np.arange(rows).reshape(self.groups, self.parts, -1)
        return found.swapaxes(0, 1).reshape(-1)


@dataclass(frozen=True)
class TurnOrder:
    """Rows as published, where heads of `size` rows that share a group follow each other.

    In the file one of each group follows the other, again and again. The first `before` stay.
    """

    groups: int
    size: int
    before: int = 0

    def __call__(self, rows: int) -> Numbers:
        """Where in the file each of so many rows is."""
        import numpy as np

        first, heads = np.split(np.arange(rows), [self.before])
        turns = heads.reshape(-1, self.groups, self.size).swapaxes(0, 1)
        return np.concatenate([first, turns.reshape(-1)])


Order = RopeOrder | GroupOrder | StackOrder | PartOrder | TurnOrder


@dataclass(frozen=True)
class Taken:
    """Rows of one tensor of a file, or of several of the same shape whose rows take turns.

    order: of the rows of all of them, None for that; part: (first, last + 1) of them that are
    taken. turned: each matrix is stored as the transpose of what its shape says. shift: is added to
    every number; log: of each the logarithm of its negative is taken.
    """

    sources: tuple[GgufRows, ...]
    order: Order | None = None
    part: tuple[int, int] | None = None
    turned: bool = False
    shift: float = 0.0
    log: bool = False

    @property
    def kind(self) -> str:
        """What the numbers are, as they are read: a type of ggml's where no number changes.

        Of sources that differ it is bfloat16, which none of a quantiser's own errors is below.
        """
        types = {source.type for source in self.sources}
        if self.shift or self.log:
            return "F32"
        if len(types) > 1:
            return "F32" if types <= PLAIN.keys() else "BF16"
        (only,) = types
        return PLAIN.get(only, only)

    @property
    def count(self) -> int:
        """How many rows are taken."""
        if self.part is not None:
            return self.part[1] - self.part[0]
        return sum(source.count for source in self.sources)

    @property
    def size(self) -> int:
        """Bytes of the files that are taken."""
        total = sum(source.end - source.begin for source in self.sources)
        return total * self.count // sum(source.count for source in self.sources)

    @property
    def columns(self) -> int:
        """Numbers in a row."""
        return self.sources[0].columns

    def places(self) -> Numbers:
        """For each row that is taken its number in its source, counted through all sources.

        Of n sources, row r is row r // n of source r % n.
        """
        import numpy as np

        first, last = self.part or (0, self.count)
        if self.order is None:
            return np.arange(first, last)
        return self.order(sum(source.count for source in self.sources))[first:last]

    def physical(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape that the rows have where the tensor has this one."""
        return (*shape[:-2], shape[-1], shape[-2]) if self.turned else shape

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether the rows make a tensor of that shape."""
        return math.prod(shape) == self.count * self.columns and (
            self.columns == 1 or len(shape) == 1 or self.physical(shape)[-1] == self.columns
        )
