"""What a KernelRunner needs of a model: packed weights, and their forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gptcli.engine.cpu.binding import calls
    from gptcli.engine.cpu.packing.memory import PackedWeights

#: Ids and places, as lists or as arrays.
Ids = Sequence[int] | NDArray[np.int32]


class PackedModel(Protocol):
    """Weights that the kernels have packed, and their forward."""

    threads: int

    @property
    def instructions(self) -> str:
        """The set of instructions in use."""
        ...

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a token of one row reads."""
        ...

    def memory_reader(self, size: int) -> Callable[[], None]:
        """What reads `size` bytes of memory, by as many threads as run the model."""
        ...

    @property
    def packed(self) -> PackedWeights:
        """The weights."""
        ...

    @property
    def activations(self) -> str | None:
        """What activations are where they meet the weights, where the dtype does not say it."""
        ...

    def forward(
        self,
        tokens: Ids,
        rows: Ids,
        positions: Ids,
        layers: Sequence[Any],
        wanted: Ids,
        shown: calls.Copies | None = None,
        *,
        edits: calls.CallEdits | None = None,
        table: NDArray[np.int32] | None = None,
        near: NDArray[np.int32] | None = None,
        slots: NDArray[np.int32] | None = None,
    ) -> NDArray[np.float32]:
        """Run tokens of some rows; logits after the wanted ones, (wanted, vocab), a new array.

        Each token has a row of the state and a position there; those of a row stand together, in
        order, without gaps. Their keys and values are written into those of `layers`, where those
        of all positions before them are that they see. wanted: rising places in `tokens`, perhaps
        none. shown: where to copy what a probe wants to see.
        edits: what is changed on the way. table, near, slots: see ForwardState.
        """
        ...

    def rows(self, name: str, rows: Sequence[int] | None = None) -> NDArray[np.float32] | None:
        """Rows of a matrix, or numbers of a vector; None for no section of that name."""
        ...

    def unembed(self, streams: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits (n, vocab) of streams (n, width), before the final norm."""
        ...
