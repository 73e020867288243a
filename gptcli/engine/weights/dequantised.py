"""Packed weights for torch, dequantised as they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gptcli.engine.model.rules import Rule
from gptcli.engine.weights.checkpoint import (
    FLOATS,
    Checkpoint,
    SourceTensor,
    TensorSource,
    main_dtype,
)
from gptcli.engine.weights.matching import UnreadTensor
from gptcli.engine.weights.quantised import mxfp4
from gptcli.engine.weights.quantised.base import Method
from gptcli.engine.weights.quantised.coded import Coded
from gptcli.engine.weights.quantised.packing import slices
from gptcli.engine.weights.quantised.tensors import QuantisedTensors


class DequantisedSource:
    """A checkpoint with packed weights, as the tensors that they stand for."""

    def __init__(self, checkpoint: Checkpoint, packed: QuantisedTensors) -> None:
        self._checkpoint, self._packed = checkpoint, packed
        self.tensors = {
            name: SourceTensor(name, stored.file, stored.shape, FLOATS[stored.kind])
            if name in packed.weights
            else checkpoint.tensors[name]
            for name, stored in packed.tensors.items()
        }

    @property
    def place(self) -> Path:
        """See TensorSource."""
        return self._checkpoint.place

    @property
    def dtype(self) -> torch.dtype:
        """See TensorSource: what is not packed has the dtype that the model was made in."""
        plain = (each for name, each in self.tensors.items() if name not in self._packed.weights)
        return main_dtype(plain)

    def read(self, name: str) -> Tensor:
        """See TensorSource. A packed weight is dequantised each time."""
        packed = self._packed.weights.get(name)
        if packed is None:
            return self._checkpoint.read(name)
        dtype = self.tensors[name].dtype
        found = dequantised(self._packed.coded(name), torch.float32 if dtype is None else dtype)
        return found.t() if packed.transpose else found


def dequantised(weight: Coded, dtype: torch.dtype) -> Tensor:
    """The numbers of a weight, (out, in), rounded once."""
    found = torch.empty(weight.shape, dtype=dtype)
    for rows in slices(*weight.shape):
        found[rows] = torch.from_numpy(weight.numbers(rows))
    return found


def dequantised_mxfp4(
    stored: Sequence[UnreadTensor], dtype: torch.dtype, blocks: Tensor, scales: Tensor
) -> Tensor:
    """The numbers of one matrix in MXFP4, (out, in), as the families' own rules have it.

    `stored` names the two tensors that it is of. Raises as `mxfp4.weight`.
    """
    return dequantised(mxfp4.weight(stored, blocks.numpy(), scales.numpy()), dtype)


def opened(
    checkpoint: Checkpoint, method: Method | None, rule_of: Callable[[str], Rule | None]
) -> TensorSource:
    """The tensors of a checkpoint, dequantised where they are packed.

    Raises ModelError for packed weights that are not whole.
    """
    if method is None:
        return checkpoint
    packed = QuantisedTensors(checkpoint.stored, checkpoint.mapped, method, rule_of)
    return DequantisedSource(checkpoint, packed)
