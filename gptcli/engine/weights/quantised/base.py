"""What a method of quantisation must say, and how packed weights become a TensorSource.

A method names the tensors that together make one weight ("qweight", "scales", …), the weight's
shape and dtype, and how it is dequantised. For layers that compute with packed weights,
`PackedSource.packed` hands these tensors out as they are stored, and `method` says what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from gptcli.engine.model.rules import Rule
from gptcli.engine.weights.checkpoint import FLOATS, Checkpoint, SourceTensor, main_dtype
from gptcli.errors import ModelError


@dataclass(frozen=True)
class QuantisedWeight:
    """One weight before it is read, as the tensors that make it, by their names in the module.

    transpose: the family expects it as (in, out), not as (out, in).
    """

    module: str
    parts: Mapping[str, SourceTensor]
    transpose: bool

    def part(self, name: str, shape: tuple[int, ...], *dtypes: torch.dtype) -> SourceTensor:
        """A part that must be there, with this shape and one of these dtypes (none: any float)."""
        found = self.parts.get(name)
        if found is None:
            some = next(iter(self.parts.values()))
            raise ModelError(str(some.file), f"tensor {self.module}.{name} is missing")
        if found.shape != shape:
            reason = f"tensor {found.name} has shape {list(found.shape)}, not {list(shape)}"
            raise ModelError(str(found.file), f"{reason} as its weight and config.json say")
        self.check_dtype(found, *dtypes)
        return found

    def core(self, name: str, *dtypes: torch.dtype) -> SourceTensor:
        """The part that holds the packed numbers: a matrix."""
        found = self.parts[name]
        if len(found.shape) != 2 or 0 in found.shape:
            reason = f"tensor {found.name} has shape {list(found.shape)}, which is no matrix"
            raise ModelError(str(found.file), reason)
        self.check_dtype(found, *dtypes)
        return found

    def check_dtype(self, stored: SourceTensor, *dtypes: torch.dtype) -> None:
        """Raise ModelError for another dtype than these (none: any float)."""
        if stored.dtype not in (dtypes or FLOATS.values()):
            known = ", ".join(str(d).removeprefix("torch.") for d in dtypes or FLOATS.values())
            raise ModelError(str(stored.file), f"tensor {stored.name} is not of dtype {known}")

    def oriented(self, shape: tuple[int, int]) -> tuple[int, int]:
        """(in, out) as the family expects it."""
        return shape if self.transpose else (shape[1], shape[0])


class Method(Protocol):
    """One published way to pack weights, as config.json describes it."""

    @property
    def parts(self) -> frozenset[str]:
        """The names in a module of the tensors that may make a weight."""
        ...

    @property
    def unread(self) -> frozenset[str]:
        """Those among them that have no use here, such as the scales of quantised activations."""
        ...

    def left_out(self, module: str) -> bool:
        """Whether config.json says that this module is not quantised."""
        ...

    def is_packed(self, parts: Mapping[str, SourceTensor]) -> bool:
        """Whether these tensors of a module make a packed weight; a plain weight does not."""
        ...

    def weight(self, packed: QuantisedWeight) -> SourceTensor:
        """The weight. Raises ModelError for parts that are missing or do not fit each other."""
        ...

    def dequantise(self, packed: QuantisedWeight, parts: Mapping[str, Tensor]) -> Tensor:
        """The weight's numbers, as `weight` describes them."""
        ...


class PackedSource:
    """A checkpoint with packed weights, as the tensors that they stand for.

    What is stored decides: a plain weight is taken as it is. Raises ModelError for a packed one
    that config.json says is none, and for parts without the others.
    """

    def __init__(
        self, checkpoint: Checkpoint, method: Method, rule_of: Callable[[str], Rule | None]
    ) -> None:
        """`rule_of` is the family's rule for a stored name, None for a tensor it does not have."""
        self._checkpoint, self.method = checkpoint, method
        self._packed: dict[str, QuantisedWeight] = {}
        self.tensors: dict[str, SourceTensor] = {}
        grouped: dict[str, dict[str, SourceTensor]] = {}
        for name, stored in checkpoint.tensors.items():
            module, _, part = name.rpartition(".")
            if part in method.parts:
                grouped.setdefault(module, {})[part] = stored
            else:
                self.tensors[name] = stored
        for module, parts in grouped.items():
            name = f"{module}.weight"
            if method.is_packed(parts):
                rule = rule_of(name)
                packed = QuantisedWeight(module, parts, rule is not None and rule.transpose)
                self._take(name, packed)
                self._drop_zeros(f"{module}.bias", rule_of)
            else:
                self.tensors |= {stored.name: stored for stored in parts.values()}

    @property
    def place(self) -> Path:
        """See TensorSource."""
        return self._checkpoint.place

    @property
    def dtype(self) -> torch.dtype:
        """See TensorSource: what is not packed has the dtype that the model was made in."""
        return main_dtype(s for name, s in self.tensors.items() if name not in self._packed)

    def read(self, name: str) -> Tensor:
        """See TensorSource. A packed weight is dequantised each time."""
        packed = self._packed.get(name)
        if packed is None:
            return self._checkpoint.read(name)
        return self.method.dequantise(packed, self.packed(name))

    def packed(self, name: str) -> dict[str, Tensor]:
        """The stored tensors of a packed weight, by their names in the module."""
        parts = self._packed[name].parts.items()
        unread = self.method.unread
        return {part: self._checkpoint.read(s.name) for part, s in parts if part not in unread}

    def _take(self, name: str, packed: QuantisedWeight) -> None:
        some = next(iter(packed.parts.values()))
        if self.method.left_out(packed.module):
            reason = f"{packed.module} is quantised, but config.json says that it is not"
            raise ModelError(str(some.file), reason)
        if name in self.tensors:
            raise ModelError(str(some.file), f"{name} is stored twice, plain and quantised")
        self._packed[name] = packed
        self.tensors[name] = self.method.weight(packed)

    def _drop_zeros(self, bias: str, rule_of: Callable[[str], Rule | None]) -> None:
        """Some tools store zeros as the bias of a packed layer that has none."""
        stored = self.tensors.get(bias)
        if stored is None or rule_of(bias) is not None or stored.dtype not in FLOATS.values():
            return
        if not self._checkpoint.read(bias).any():
            del self.tensors[bias]
