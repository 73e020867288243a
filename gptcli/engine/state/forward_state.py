"""What a forward sees of the tokens before it: rows of unequal length, and a state per layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from gptcli.engine.arrays import Array, namespace


class ForwardState(ABC):
    """Rows that a forward appends to.

    It reserves room, lets every layer take in its tokens, and advances. In between, `under_way`
    tells how many tokens of each row these are: rows may be padded, and padding is nothing that a
    layer may keep. table, slots: see the kernels' `forward`, None where rows stand in one piece.
    """

    #: Whether one forward is as the next: positions stand where it computes, and what they reach
    #: over is the same, so that what was recorded of one can be done again.
    fixed = False
    #: Of whatever kind each is: what a forward does with it, the layer itself knows.
    layers: list[Any]
    under_way: list[int] | None
    _like: Array

    @property
    @abstractmethod
    def lengths(self) -> Sequence[int]:
        """How many tokens each row has."""

    @property
    def table(self) -> Array | None:
        """Which pages hold each row, (rows, pages), int32."""
        return None

    @property
    def near(self) -> Array | None:
        """The same for layers that do not see all, None where they have no pages of their own."""
        return None

    @property
    def slots(self) -> Array | None:
        """Which of the mixers' states each row has, (rows,), int32; None: that of its number."""
        return None

    @property
    def batch(self) -> int:
        """How many rows there are."""
        return len(self.lengths)

    @property
    def uniform(self) -> bool:
        """Whether all rows are equally long."""
        return len(set(self.lengths)) <= 1

    @abstractmethod
    def reserve(self, counts: list[int], ahead: list[int] | None = None) -> None:
        """Make room for a forward of `counts[row]` more tokens in each row.

        ahead: how many will come in all, in this forward and in those after it.
        """

    @abstractmethod
    def advance(self, counts: list[int]) -> None:
        """Count the tokens that every layer has now taken in, row by row."""

    def origins(self, layer: int) -> list[int] | None:
        """Where each row's keys begin that a layer has; None where all are there, or none."""
        found = getattr(self.layers[layer], "origins", None)
        return None if found is None else found.tolist()

    def taken(self, time: int) -> list[int]:
        """How many of the next `time` tokens of each row are no padding."""
        return self.under_way or [time] * self.batch

    def reach(self, time: int) -> int:
        """Over how many positions the next `time` tokens look, seen or not."""
        return max(self.lengths) + time

    def positions(self, time: int, device: Any) -> Array:
        """Where the next `time` tokens will stand: (time,) for equal rows, else (batch, time)."""
        xp = namespace(self._like)
        if self.uniform:
            start = self.lengths[0]
            return xp.arange(start, start + time, dtype=xp.int64, device=device)
        starts = xp.asarray(self.lengths, dtype=xp.int64, device=device)
        return starts[:, None] + xp.arange(time, dtype=xp.int64, device=device)
