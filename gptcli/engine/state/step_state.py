"""What a forward of one token a row sees of a state whose arrays stay where they are.

What attention looks over is all the room that there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptcli.engine.arrays import Array, namespace
from gptcli.engine.state.fixed_state import FixedState
from gptcli.engine.state.joint_state import Joint, JointState
from gptcli.engine.state.keys_values import KeysValues
from gptcli.engine.state.model_state import ModelState
from gptcli.engine.state.recurrent_state import RecurrentState


class StepState(FixedState):
    """See FixedState."""

    def __init__(self, state: ModelState, at: Array) -> None:
        super().__init__(at)
        self._capacity = state.capacity
        rows = namespace(at).arange(at.shape[0], dtype=at.dtype, device=at.device)[:, None]
        self.layers = [_step_of(layer, at, rows) for layer in state.layers]
        #: What it reads and writes, as it was when this was made.
        self.arrays = arrays_of(state)

    def reach(self, time: int) -> int:
        """See ForwardState: over all the room."""
        return self._capacity


def arrays_of(state: ModelState) -> list[Array]:
    """All that the layers of a state keep."""
    found = [array for layer in state.layers for array in layer.by_position]
    for layer in state.layers:
        mixer = layer.mixer if isinstance(layer, JointState) else layer
        found += mixer.read() if isinstance(mixer, RecurrentState) else ()
    return found


class _StepKeysValues:
    """See KeysValues."""

    def __init__(self, layer: KeysValues, at: Array, rows: Array) -> None:
        self._layer, self.at, self._rows = layer, at, rows

    def append(self, key: Array, value: Array, _: Sequence[int]) -> tuple[Array, Array]:
        """See KeysValues; all there is room for comes back."""
        self._layer.place(key, value, self.at[:, None], self._rows)
        return self._layer.keys, self._layer.values


class _StepMixer:
    """See RecurrentState, whose arrays are written in place here."""

    def __init__(self, layer: RecurrentState) -> None:
        self.inputs, self.memory = layer.read()

    def read(self) -> tuple[Array, Array]:
        """See RecurrentState."""
        return self.inputs, self.memory

    def write(self, inputs: Array, memory: Array) -> None:
        """See RecurrentState."""
        self.inputs[...] = inputs
        self.memory[...] = memory


def _step_of(layer: Any, at: Array, rows: Array) -> Any:
    if isinstance(layer, JointState):
        return Joint(_StepKeysValues(layer.attention, at, rows), _StepMixer(layer.mixer))
    if isinstance(layer, RecurrentState):
        return _StepMixer(layer)
    return _StepKeysValues(layer, at, rows)
