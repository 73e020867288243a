"""The compressed-tensors format: whole numbers, packed or not, and float8, with scales.

A module has, for a weight of `out` rows and `in` columns, either

    weight_packed      int32 (out, in · bits / 32)   numbers plus 2^(bits-1), packed along inputs
    weight_shape       int (2,)                      out and in
    weight_zero_point  int32 (out · bits / 32, groups), packed along the outputs; asymmetric only

("pack-quantized") or weight, int8 or float8, and weight_zero_point, int8 ("int-quantized",
"float-quantized"); and beside these weight_scale, a float for the tensor, each row, or each group
or block of it. weight = (q − zero point) · scale, in the dtype of the scale.

Where the model was made to quantise activations too, these stay in full precision here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gptcli.engine.weights.checkpoint import SourceTensor
from gptcli.engine.weights.quantised.base import QuantisedWeight
from gptcli.engine.weights.quantised.compressed_config import Group, Scheme
from gptcli.engine.weights.quantised.grid import Grid
from gptcli.engine.weights.quantised.packing import slices, unpack
from gptcli.errors import ModelError

_UNREAD = frozenset({"input_scale", "input_zero_point"})


@dataclass(frozen=True)
class Compressed:
    """All groups of modules that a config describes; each module belongs to one."""

    scheme: Scheme

    parts = frozenset({"weight", "weight_packed", "weight_shape", "weight_scale"}) | {
        "weight_zero_point",
        *_UNREAD,
    }
    unread = _UNREAD

    def left_out(self, module: str) -> bool:
        """See Method."""
        return self.scheme.group_of(module) is None

    def is_packed(self, parts: Mapping[str, SourceTensor]) -> bool:
        """See Method."""
        weight = parts.get("weight")
        numbers = weight is not None and weight.dtype in (torch.int8, torch.float8_e4m3fn)
        return numbers or "weight_packed" in parts or "weight_scale" in parts

    def weight(self, packed: QuantisedWeight) -> SourceTensor:
        """See Method."""
        group = self._group(packed)
        name = "weight_packed" if group.packed else "weight"
        if name not in packed.parts:
            some = next(iter(packed.parts.values()))
            raise ModelError(str(some.file), f"tensor {packed.module}.{name} is missing")
        self._refuse_others(packed, group)
        core = packed.core(name, group.dtype)
        each = 32 // group.bits if group.packed else 1
        rows, columns = core.shape[0], core.shape[1] * each
        if group.packed:
            packed.part("weight_shape", (2,), torch.int64, torch.int32)
        if group.grid.columns and columns % group.grid.columns and not group.grid.rows:
            reason = f"{packed.module} has {columns} inputs, not whole groups"
            raise ModelError(str(core.file), reason)
        scale = self._laid(packed, "weight_scale", group.grid, (rows, columns))
        if not group.symmetric and group.packed:
            down, across = group.grid.shape(rows, columns)
            packed.part("weight_zero_point", (-(-down // each), across), torch.int32)
        elif not group.symmetric:
            self._laid(packed, "weight_zero_point", group.grid, (rows, columns), torch.int8)
        return SourceTensor(f"{packed.module}.weight", core.file, (rows, columns), scale.dtype)

    def dequantise(self, packed: QuantisedWeight, parts: Mapping[str, Tensor]) -> Tensor:
        """See Method."""
        group, shape = self._group(packed), self.weight(packed).shape
        half = 1 << (group.bits - 1)
        stored = parts["weight_packed" if group.packed else "weight"]
        if group.packed:
            _check_shape(packed, parts["weight_shape"], shape)
        count, columns = shape
        down, across = group.grid.shape(count, columns)
        scale = parts["weight_scale"].view(down, across)
        zeros = torch.zeros(1, 1, dtype=scale.dtype)
        if not group.symmetric:
            zeros = parts["weight_zero_point"]
            if group.packed:
                zeros = unpack(zeros, group.bits, 0)[:down] - half
            zeros = zeros.view(down, across).to(scale.dtype)
        weight = torch.empty(count, columns, dtype=scale.dtype)
        for rows in slices(count, columns):
            numbers = unpack(stored[rows], group.bits, 1) - half if group.packed else stored[rows]
            shifted = numbers.to(scale.dtype) - group.grid.spread(zeros, rows, columns)
            torch.mul(shifted, group.grid.spread(scale, rows, columns), out=weight[rows])
        return weight

    def _laid(
        self,
        packed: QuantisedWeight,
        name: str,
        grid: Grid,
        shape: tuple[int, int],
        *dtypes: torch.dtype,
    ) -> SourceTensor:
        """A part that lies on a matrix as the grid says."""
        found = packed.parts.get(name)
        known = found is not None and grid.fits(found.shape, *shape)
        wanted = found.shape if found is not None and known else grid.shape(*shape)
        return packed.part(name, wanted, *dtypes)

    def _group(self, packed: QuantisedWeight) -> Group:
        found = self.scheme.group_of(packed.module)
        assert found is not None, f"{packed.module} is in no group"
        return found

    def _refuse_others(self, packed: QuantisedWeight, group: Group) -> None:
        """Parts that a module of this group does not have."""
        wanted = {"weight_scale", *_UNREAD}
        wanted |= {"weight_packed", "weight_shape"} if group.packed else {"weight"}
        wanted |= set() if group.symmetric else {"weight_zero_point"}
        for name, stored in packed.parts.items():
            if name not in wanted:
                reason = f"tensor {stored.name} does not fit quantization_config"
                raise ModelError(str(stored.file), reason)


def _check_shape(packed: QuantisedWeight, stored: Tensor, shape: tuple[int, ...]) -> None:
    if stored.tolist() != list(shape):
        reason = f"{packed.module}.weight_shape is {stored.tolist()}, not {list(shape)}"
        raise ModelError(str(packed.parts["weight_shape"].file), reason)
