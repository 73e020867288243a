"""What is kept of a state, so that it can come back."""

from __future__ import annotations

from gptcli.engine.state.layer_state import Apart, LayerState
from gptcli.plain import dataclass


@dataclass(eq=False)
class Snapshot:
    """A place that a state can come back to.

    layers: what of the layers cannot go back by itself, None where all can. fits: whether the state
    still holds the tokens that it held then; not so once it has gone back behind them.
    """

    lengths: list[int]
    layers: list[Apart | None]
    fits: bool = True

    @property
    def bytes(self) -> int:
        """What it holds on the device, perhaps along with others."""
        return sum(part.bytes for part in self.parts)

    @property
    def parts(self) -> list[LayerState]:
        """What it holds, each of which others may hold too."""
        return [layer.part for layer in self.layers if layer is not None]
