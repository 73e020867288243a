"""What all parts of a layer are given beside what they read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gptcli.engine.points import Point
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.torch.changed import Changes
from gptcli.engine.torch.rope import Rotation
from gptcli.engine.torch.shown import Shown

#: Keys and values of the layers whose others read, by layer; what is None is not there yet.
Lent = dict[int, Any]


@dataclass(frozen=True)
class Given:
    """The layer's number, where it stands in the text, who looks on, and what is changed.

    mask, turn: see masks and rope, None where all is seen, or nothing turns. origins: where keys
    and values of each row begin that the layer meets, None: with its text.
    """

    layer: int
    state: ForwardState
    mask: Tensor | None
    turn: Rotation | None
    lent: Lent
    shown: Shown | None = None
    changes: Changes | None = None
    origins: Sequence[int] | None = None

    @property
    def kept(self) -> Any:
        """The layer's own state."""
        return self.state.layers[self.layer]

    def show(self, point: Point, numbers: Tensor) -> None:
        """Tell who looks on, where somebody does."""
        if self.shown is not None:
            self.shown(point, self.layer, numbers, self.origins)

    def passing(self, point: Point, numbers: Tensor) -> Tensor:
        """Numbers (b, t, features) of new tokens as they go on from a point: changed, and shown."""
        if self.changes is not None:
            numbers = self.changes.changed(point, self.layer, numbers, self.state)
        self.show(point, numbers)
        return numbers
