"""Scales of a matrix: one for all of it, or one for each row, group or block."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Grid:
    """How scales lie on a matrix: each is that of a block of `rows` × `columns` numbers.

    None means as many as there are. Blocks at the edges may be smaller.
    """

    rows: int | None
    columns: int | None

    def shape(self, rows: int, columns: int) -> tuple[int, int]:
        """The shape of the scales of a (rows, columns) matrix."""
        return -(-rows // (self.rows or rows)), -(-columns // (self.columns or columns))

    def fits(self, shape: tuple[int, ...], rows: int, columns: int) -> bool:
        """Whether scales of this shape lie so; an axis of one at the end may be left out."""
        down, across = self.shape(rows, columns)
        return (
            shape == (down, across)
            or (across == 1 and shape == (down,))
            or (down == across == 1 and shape == ())
        )

    def spread(self, scales: Tensor, rows: slice, columns: int) -> Tensor:
        """(down, across) → a scale for each number of some rows, or one that broadcasts."""
        if scales.size(0) > 1 and self.rows:
            scales = scales[torch.arange(rows.start, rows.stop) // self.rows]
        if scales.size(1) > 1 and self.columns:
            scales = scales.repeat_interleave(self.columns, 1)[:, :columns]
        return scales


TENSOR = Grid(None, None)
CHANNEL = Grid(1, None)
