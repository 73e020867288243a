"""What a forward sees where each is as the one before, so that one can be recorded and done again.

It is a function of arrays alone: no length is told, and a row's end is a number on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptcli.engine.arrays import Array
from gptcli.engine.state.forward_state import ForwardState


class FixedState(ForwardState):
    """See ForwardState. at: where the rows end, (batch,), int64, which each forward moves on."""

    fixed = True

    def __init__(self, at: Array) -> None:
        self._like = self.at = at
        self.under_way: list[int] | None = None

    @property
    def lengths(self) -> Sequence[int]:
        """See ForwardState: none is known here."""
        return ()

    @property
    def batch(self) -> int:
        """See ForwardState."""
        return int(self.at.shape[0])

    def positions(self, time: int, device: Any) -> Array:
        """See ForwardState."""
        return self.at[:, None]

    def reserve(self, counts: list[int], ahead: list[int] | None = None) -> None:
        """See ForwardState: there has to be room already."""

    def advance(self, counts: list[int]) -> None:
        """See ForwardState."""
        self.at += 1
