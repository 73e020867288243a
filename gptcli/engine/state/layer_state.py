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
        """Whether it can go back to any length."""
        ...

    @property
    def steady(self) -> bool:
        """Whether what it keeps of a token stays as it is whatever comes after it.

        If so, it can go back by at least `sight.BACK` tokens, also out of a forward that was
        interrupted.
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

    def apart(self, rows: Array) -> Apart | None:
        """What of these rows cannot go back by itself, None where all of it can: a copy, or what
        stays as it is. The rows are all that there are, in their order.
        """
        ...

    def restored(self, apart: Any) -> LayerState:
        """This state, gone back to when `apart` was made, which is its own from now on."""
        ...


class Apart(LayerState, Protocol):
    """What a layer needs to come back to a place, see `LayerState.apart`."""

    @property
    def part(self) -> LayerState:
        """What is held for it: several places may share it."""
        ...

    def kept(self, length: int) -> list[Array]:
        """What of one row of that length goes on the disk: arrays that are each in one piece."""
        ...

    def kept_bytes(self, length: int) -> int:
        """How many bytes that is."""
        ...

    def blank(self, length: int) -> Apart:
        """One like this in which `kept` is still to be filled."""
        ...
