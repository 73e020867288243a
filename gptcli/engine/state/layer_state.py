"""What a layer keeps of the tokens that went through it, whatever kind of layer it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

from gptcli.engine.arrays import Array


class LayerState(Protocol):
    """What one layer keeps of the tokens of some rows. The layer itself writes it, its own way.

    How long the rows are is known to the ModelState around it, which tells what must be known.
    """

    @property
    def rewinds(self) -> bool:
        """Whether it can go back to any length, also out of a forward that was interrupted.

        If so, what it keeps of a token stays as it is whatever comes after it.
        """
        ...

    @property
    def bytes(self) -> int:
        """Bytes held on the device."""
        ...

    @property
    def by_position(self) -> tuple[Array, ...]:
        """What it keeps of each position: arrays (batch, heads, capacity, features)."""
        ...

    @property
    def by_row(self) -> tuple[Array, ...]:
        """What it keeps of a row, however long that is: arrays (batch, …)."""
        ...

    def reserve(self, used: int, capacity: int) -> None:
        """Make room for `capacity` tokens in each row; at most `used` are there in any."""
        ...

    def can_truncate(self, before: Sequence[int], after: Sequence[int]) -> bool:
        """Whether rows of the lengths `before` could be as they were at the lengths `after`.

        Back to no tokens at all, or to where it is, every state can go.
        """
        ...

    def truncate(self, before: Sequence[int], after: Sequence[int]) -> None:
        """Make them so; asked only where it can be done."""
        ...

    def picked(self, rows: Array) -> Self:
        """A copy of these rows, (n,), in this order; a row may be named more than once."""
        ...

    def apart(self, rows: Array) -> LayerState | None:
        """A copy of what of these rows cannot go back by itself, None where all of it can."""
        ...

    def restored(self, apart: Any) -> LayerState:
        """This state, gone back to when `apart` was made, which is its own from now on."""
        ...
