"""What a layer keeps that has attention and a mixer beside it: both of their states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptcli.engine.arrays import Array
from gptcli.engine.state.keys_values import KeysValues
from gptcli.engine.state.recurrent_state import RecurrentState


class Joint:
    """Both as a forward has them, wherever they stand; see KeysValues and RecurrentState."""

    origins, near = None, False

    def __init__(self, attention: Any, mixer: Any) -> None:
        self.attention, self.mixer = attention, mixer
        self.append = attention.append
        self.read, self.write = mixer.read, mixer.write

    @property
    def keys(self) -> Array:
        """Those of attention."""
        return self.attention.keys

    @property
    def values(self) -> Array:
        """Those of attention."""
        return self.attention.values

    @property
    def inputs(self) -> Array:
        """Those of the mixer."""
        return self.mixer.inputs

    @property
    def memory(self) -> Array:
        """Those of the mixer."""
        return self.mixer.memory


class JointState(Joint):
    """See LayerState."""

    rewinds = steady = False
    attention: KeysValues
    mixer: RecurrentState

    def __init__(self, attention: KeysValues, mixer: RecurrentState) -> None:
        super().__init__(attention, mixer)

    @property
    def bytes(self) -> int:
        """See LayerState."""
        return self.attention.bytes + self.mixer.bytes

    @property
    def by_position(self) -> tuple[Array, ...]:
        """See LayerState."""
        return self.attention.by_position

    def reserve(self, used: int, capacity: int) -> None:
        """See LayerState."""
        self.attention.reserve(used, capacity)

    def can_truncate(self, before: Sequence[int], after: Sequence[int]) -> bool:
        """See LayerState."""
        return self.mixer.can_truncate(before, after)

    def truncate(self, before: Sequence[int], after: Sequence[int]) -> None:
        """See LayerState."""
        self.mixer.truncate(before, after)

    def picked(self, rows: Array) -> JointState:
        """See LayerState."""
        return JointState(self.attention.picked(rows), self.mixer.picked(rows))

    def apart(self, rows: Array) -> RecurrentState:
        """See LayerState: keys and values stay where they are."""
        return self.mixer.picked(rows)

    def restored(self, apart: RecurrentState) -> JointState:
        """See LayerState."""
        return JointState(self.attention, apart)
