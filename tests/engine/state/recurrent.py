"""Models with a state that cannot go back: a running sum, where a token has left all before it.

In torch as the last layer's mixer in place of attention; in the stand-in of the kernels as
something that is added to the logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gptcli.engine.arrays import Array, namespace
from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.describe import describe
from gptcli.engine.state.model_state import ModelState
from gptcli.engine.torch.given import Given
from gptcli.engine.torch.runner import TorchRunner
from tests.engine.numpy_llama import NumpyLlama, weights
from tests.opening import load


class RunningSum:
    """See LayerState. `sums` (batch, width) forgets slowly."""

    rewinds = steady = False

    def __init__(self, sums: Array) -> None:
        self.sums = sums

    @property
    def bytes(self) -> int:
        return int(self.sums.nbytes)

    def reserve(self, used: int, capacity: int) -> None:
        """One size for all lengths."""

    def can_truncate(self, before: Sequence[int], after: Sequence[int]) -> bool:
        return all(b in (a, 0) for a, b in zip(before, after, strict=True))

    def truncate(self, before: Sequence[int], after: Sequence[int]) -> None:
        for row, length in enumerate(after):
            if length == 0:
                self.sums[row] = 0

    def picked(self, rows: Array) -> RunningSum:
        return RunningSum(namespace(self.sums).take(self.sums, rows, axis=0))

    def apart(self, rows: Array) -> RunningSum:
        return self.picked(rows)

    def restored(self, apart: RunningSum) -> RunningSum:
        return apart

    @property
    def part(self) -> RunningSum:
        return self

    def take(self, row: int, number: Array) -> Array:
        self.sums[row] = self.sums[row] * 0.9375 + number
        return self.sums[row]


class Recurrence(nn.Module):
    """In place of Attention. Padding must not come in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(7)
        self.weight = nn.Parameter(torch.randn(width, width, generator=random) / width**0.5)

    def forward(self, x: Tensor, given: Given) -> Tensor:
        out = torch.zeros_like(x)
        for row, count in enumerate(given.state.under_way):
            for at in range(count):
                out[row, at] = given.kept.take(row, x[row, at] @ self.weight)
        return out


class RecurrentRunner(TorchRunner):
    """A model whose last layer has a running sum in place of attention."""

    def __init__(self, directory: Path) -> None:
        decoder = load(directory, device="cpu", dtype="float32").decoder
        decoder.layers[-1].attention = Recurrence(decoder.spec.width).requires_grad_(False)
        super().__init__(decoder)

    def new_state(self, batch: int = 1) -> ModelState:
        state = super().new_state(batch)
        state.layers[-1] = RunningSum(torch.zeros(batch, self.spec.width))
        return state


class RecurrentLlama(NumpyLlama):
    """See KernelModel. What runs beside the layers is one state more."""

    def forward(
        self,
        tokens,
        rows,
        positions,
        layers,
        wanted,
        shown=None,
        *,
        edits=None,
        table=None,
        near=None,
        slots=None,
    ):
        *kept, running = layers
        table = self.weights["embedding.weight"]
        sums = [running.take(r, table[t]).copy() for t, r in zip(tokens, rows, strict=True)]
        logits = super().forward(tokens, rows, positions, kept, wanted, shown)
        return logits + np.stack(sums)[np.asarray(wanted, int)] @ table[::-1].T


class RecurrentKernels(KernelRunner):
    """The runner of the kernels with that."""

    def __init__(self, directory: Path) -> None:
        model = describe(directory)
        llama = RecurrentLlama(model.spec, weights(model))
        super().__init__(llama, model.spec, "float32", model.spec.context)

    def new_state(self, batch: int = 1) -> ModelState:
        state = super().new_state(batch)
        state.layers.append(RunningSum(np.zeros((batch, self.spec.width), np.float32)))
        return state
