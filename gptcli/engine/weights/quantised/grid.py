"""Scales of a matrix: one for all of it, or one for each row, group or block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.plain import dataclass


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

    def of_rows(self, scales: NDArray[Any], rows: slice) -> NDArray[Any]:
        """(down, across) → (rows, across): those of each of some rows."""
        if len(scales) == 1:
            return np.broadcast_to(scales, (rows.stop - rows.start, scales.shape[1]))
        found: NDArray[Any] = scales[np.arange(rows.start, rows.stop) // (self.rows or 1)]
        return found


TENSOR = Grid(None, None)
CHANNEL = Grid(1, None)
