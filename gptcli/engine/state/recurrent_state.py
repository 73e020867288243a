"""What a mixer keeps of the tokens so far: one size for all lengths, and no way back.

Of numpy or torch, as its owner computes; float32 whatever the model's dtype, since what is rounded
here is carried on from token to token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from gptcli.engine.arrays import Array, namespace, rounded_up
from gptcli.engine.model.mixers import Mixer, Recurrence


class RecurrentState:
    """See LayerState.

    inputs: (batch, taps - 1, features), what the convolution has still to see of the last tokens,
    the oldest first; memory: (batch, heads, key_dim, value_dim), of no size without memories.
    multiple: what each part of the features, and a memory's values, are padded to.
    """

    rewinds = steady = False

    def __init__(self, mixer: Mixer, batch: int, like: Array, *, multiple: int = 1) -> None:
        xp = namespace(like)
        sizes = [(batch, *shape) for shape in shapes(mixer, multiple)]
        self.inputs: Array = xp.zeros(sizes[0], dtype=xp.float32, device=like.device)
        self.memory: Array = xp.zeros(sizes[1], dtype=xp.float32, device=like.device)

    @property
    def bytes(self) -> int:
        """See LayerState."""
        return int(self.inputs.nbytes + self.memory.nbytes)

    @property
    def by_position(self) -> tuple[Array, ...]:
        """See LayerState: nothing."""
        return ()

    @property
    def part(self) -> Self:
        """See Apart: a copy is nobody else's."""
        return self

    def kept(self, length: int) -> list[Array]:
        """See Apart."""
        return [self.inputs, self.memory]

    def kept_bytes(self, length: int) -> int:
        """See Apart."""
        return self.bytes

    def blank(self, length: int) -> Self:
        """See Apart."""
        xp, other = namespace(self.inputs), object.__new__(type(self))
        other.inputs, other.memory = xp.zeros_like(self.inputs), xp.zeros_like(self.memory)
        return other

    def reserve(self, used: int, capacity: int) -> None:
        """See LayerState: there is room for all lengths."""

    def can_truncate(self, before: Sequence[int], after: Sequence[int]) -> bool:
        """See LayerState."""
        return all(n in (old, 0) for old, n in zip(before, after, strict=True))

    def truncate(self, before: Sequence[int], after: Sequence[int]) -> None:
        """See LayerState."""
        if 0 not in after:
            return
        # New arrays: those of torch that came out of a forward cannot be changed in place.
        xp = namespace(self.inputs)
        stays = xp.asarray([length > 0 for length in after], device=self.inputs.device)
        none = xp.zeros((), dtype=xp.float32, device=self.inputs.device)
        self.inputs = xp.where(stays[:, None, None], self.inputs, none)
        self.memory = xp.where(stays[:, None, None, None], self.memory, none)

    def picked(self, rows: Array) -> Self:
        """See LayerState."""
        xp, other = namespace(self.inputs), object.__new__(type(self))
        other.inputs = xp.take(self.inputs, rows, axis=0)
        other.memory = xp.take(self.memory, rows, axis=0)
        return other

    def apart(self, rows: Array) -> Self:
        """See LayerState: all of it."""
        return self.picked(rows)

    def restored(self, apart: Self) -> Self:
        """See LayerState."""
        return apart

    def read(self) -> tuple[Array, Array]:
        """The inputs and memories of all rows, to be replaced, not changed."""
        return self.inputs, self.memory

    def write(self, inputs: Array, memory: Array) -> None:
        """Have these from now on."""
        self.inputs, self.memory = inputs, memory


def shapes(mixer: Mixer, multiple: int = 1) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of one row's inputs and memories."""
    features = sum(rounded_up(part, multiple) for part in mixer.filtered)
    if not isinstance(mixer, Recurrence):
        return (mixer.taps - 1, features), (0, 0, 0)
    memory = mixer.heads, mixer.key_dim, rounded_up(mixer.value_dim, multiple)
    return (mixer.taps - 1, features), memory
