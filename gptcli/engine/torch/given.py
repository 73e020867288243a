"""What all parts of a layer are given beside what they read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gptcli.engine.points import Point
from gptcli.engine.probe import Probe
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.torch.changed import Changes
from gptcli.engine.torch.rope import Rotation

#: Keys and values of the layers whose others read, by layer; what is None is not there yet.
Lent = dict[int, Any]


@dataclass(frozen=True)
class Given:
    """The layer's number, where it stands in the text, who looks on, and what is changed.

    mask, turn: see masks and rope, None where all is seen, or nothing turns. begins: where the
    first row's keys and values begin that the layer meets.
    """

    layer: int
    state: ForwardState
    mask: Tensor | None
    turn: Rotation | None
    lent: Lent
    probe: Probe | None = None
    changes: Changes | None = None
    begins: int = 0

    @property
    def kept(self) -> Any:
        """The layer's own state."""
        return self.state.layers[self.layer]

    def show(self, point: Point, numbers: Tensor, start: int | None = None) -> None:
        """Tell the probe, where there is one. start: see Probe; None: where new tokens stand."""
        if self.probe is not None:
            at = self.state.lengths[0] if start is None else start
            self.probe(point, self.layer, numbers, at)

    def passing(self, point: Point, numbers: Tensor) -> Tensor:
        """Numbers (b, t, features) of new tokens as they go on from a point: changed, and shown."""
        if self.changes is not None:
            numbers = self.changes.changed(point, self.layer, numbers, self.state)
        self.show(point, numbers)
        return numbers
