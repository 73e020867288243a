"""The states of mixers of rows that come and go, and copies of them to begin other rows with.

A state cannot go back, so that rows which begin alike can only share it where somebody kept a copy:
at the ends of pages of prompts, by what these hold, the oldest going first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from gptcli.engine.arrays import Array, longer, namespace
from gptcli.engine.model.mixers import Mixer
from gptcli.engine.state.recurrent_state import shapes

#: Slots by which there come to be more, as a share of those there are.
_SHARE = 2


class LayerSlots:
    """The states of one mixer: inputs (slots, taps - 1, features) and memory (slots, …).

    See RecurrentState.
    """

    def __init__(self, mixer: Mixer, like: Array, multiple: int) -> None:
        xp = namespace(like)
        one, other = shapes(mixer, multiple)
        self.inputs: Array = xp.zeros((0, *one), dtype=xp.float32, device=like.device)
        self.memory: Array = xp.zeros((0, *other), dtype=xp.float32, device=like.device)

    def grow(self, slots: int) -> None:
        """Have so many; those there are stay."""
        self.inputs, self.memory = longer(self.inputs, slots), longer(self.memory, slots)

    def clear(self, slot: int) -> None:
        """Make one a state of no tokens."""
        self.inputs[slot], self.memory[slot] = 0, 0

    def copy(self, source: int, slot: int) -> None:
        """Make one like another."""
        self.inputs[slot], self.memory[slot] = self.inputs[source], self.memory[source]


class SlotPool:
    """The slots of all mixers. kept: how many copies stay that no row has."""

    def __init__(self, mixers: Sequence[Mixer], like: Array, *, kept: int, multiple: int) -> None:
        self.layers = [LayerSlots(mixer, like, multiple) for mixer in mixers]
        self._most_kept = kept
        self._made = 0
        self._free: list[int] = []
        self._kept: OrderedDict[int, int] = OrderedDict()  # by what they are of: the slot

    def take(self) -> int:
        """A state of no tokens."""
        slot = self._any()
        for layer in self.layers:
            layer.clear(slot)
        return slot

    def give(self, slot: int) -> None:
        """Nobody has it any more."""
        self._free.append(slot)

    def copy(self, source: int) -> int:
        """Another state like this one."""
        slot = self._any()
        for layer in self.layers:
            layer.copy(source, slot)
        return slot

    def keep(self, name: int, source: int) -> None:
        """Keep a copy of a state under a name."""
        if name in self._kept or not self._most_kept:
            return
        while len(self._kept) >= self._most_kept:
            self._free.append(self._kept.popitem(last=False)[1])
        self._kept[name] = self.copy(source)

    def has(self, name: int) -> bool:
        """Whether a copy of that name is kept."""
        return name in self._kept

    def begin(self, name: int) -> int:
        """A state like the copy of that name, which is kept for longer from now on."""
        self._kept.move_to_end(name)
        return self.copy(self._kept[name])

    def forget(self, name: int) -> None:
        """Nothing is kept under that name any more."""
        slot = self._kept.pop(name, None)
        if slot is not None:
            self._free.append(slot)

    def _any(self) -> int:
        if not self._free:
            count = max(1, self._made // _SHARE)
            # Layer by layer, so that only one is ever held twice.
            for layer in self.layers:
                layer.grow(self._made + count)
            self._free += reversed(range(self._made, self._made + count))
            self._made += count
        return self._free.pop()
