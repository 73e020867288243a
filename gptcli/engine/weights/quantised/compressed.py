"""The compressed-tensors format: whole numbers, packed or not, and floats of 8 and 4 bits.

A module has, for a weight of `out` rows and `in` columns, one of

    weight_packed      int32 (out, in · bits / 32)   numbers plus 2^(bits-1), packed along inputs
    weight_shape       int (2,)                      out and in
    weight_zero_point  int32 (out · bits / 32, groups), packed along the outputs; asymmetric only
    weight_g_idx       int32 (in,)                   the group of each input; "actorder": "group"

("pack-quantized"); weight, int8 or float8, and weight_zero_point, int8 ("int-quantized",
"float-quantized"); and beside these weight_scale, a float for the tensor, each row, or each group
or block of it. weight = (q − zero point) · scale, in the dtype of the scale. Or

    weight_packed        uint8 (out, in / 2)         floats of four bits, low bits first
    weight_scale         float8_e4m3 (out, in / 16)  with "nvfp4-pack-quantized", else
                         uint8 (out, in / 32)        exponents of two, with "mxfp4-pack-quantized"
    weight_global_scale  float32 (1,)                nvfp4 only

and weight = q · scale / global scale. Where the model was made to quantise activations too, these
stay in full precision here. Layouts: github.com/vllm-project/compressed-tensors, `compressors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.weights.quantised.base import QuantisedWeight
from gptcli.engine.weights.quantised.coded import Affine, AffineRows, Coded, Floats
from gptcli.engine.weights.quantised.compressed_config import FLOAT4, Group, Scheme
from gptcli.engine.weights.quantised.fields import in_groups
from gptcli.engine.weights.quantised.float4 import mxfp4, nvfp4, packed_pairs
from gptcli.engine.weights.quantised.fp8 import float8
from gptcli.engine.weights.quantised.grid import Grid
from gptcli.engine.weights.quantised.packing import unpack
from gptcli.errors import ModelError
from gptcli.formats.stored import StoredTensor
from gptcli.plain import dataclass

_UNREAD = frozenset({"input_scale", "input_zero_point", "input_global_scale"})
#: What turns a signed byte into that number plus 128.
_SIGN = np.uint8(0x80)


@dataclass(frozen=True)
class Compressed:
    """All groups of modules that a config describes; each module belongs to one."""

    scheme: Scheme

    parts = frozenset({"weight", "weight_packed", "weight_shape", "weight_scale"}) | {
        "weight_zero_point",
        "weight_g_idx",
        "weight_global_scale",
        *_UNREAD,
    }
    unread = _UNREAD
    outputs_first = False

    def left_out(self, module: str) -> bool:
        """See Method."""
        return self.scheme.group_of(module) is None

    def is_packed(self, parts: Mapping[str, StoredTensor]) -> bool:
        """See Method."""
        weight = parts.get("weight")
        numbers = weight is not None and weight.kind in ("I8", "F8_E4M3")
        return numbers or "weight_packed" in parts or "weight_scale" in parts

    def weight(self, packed: QuantisedWeight) -> StoredTensor:
        """See Method."""
        group = self._group(packed)
        core = packed.core(group.core, group.kind)
        _refuse_others(packed, group)
        if group.form in FLOAT4:
            scales = "F8_E4M3" if group.form == "nvfp4" else "U8"
            shape = packed_pairs(packed, core, "weight_scale", FLOAT4[group.form], scales)
            if group.form == "nvfp4":
                packed.part("weight_global_scale", (1,), "F32")
            return packed.weight(core, shape, "F32")
        each = 32 // group.bits if group.packed else 1
        rows, columns = core.shape[0], core.shape[1] * each
        if group.packed:
            packed.part("weight_shape", (2,), "I64", "I32")
        if group.grid.columns and columns % group.grid.columns and not group.grid.rows:
            reason = f"{packed.module} has {columns} inputs, not whole groups"
            raise ModelError(str(core.file), reason)
        scale = _laid(packed, "weight_scale", group.grid, (rows, columns))
        if not group.symmetric and group.packed:
            down, across = group.grid.shape(rows, columns)
            packed.part("weight_zero_point", (-(-down // each), across), "I32")
        elif not group.symmetric:
            _laid(packed, "weight_zero_point", group.grid, (rows, columns), "I8")
        if group.by_activation:
            packed.part("weight_g_idx", (columns,), "I32")
        return packed.weight(core, (rows, columns), scale.kind)

    def coded(self, packed: QuantisedWeight, parts: Mapping[str, NDArray[Any]]) -> Coded:
        """See Method."""
        group, scales = self._group(packed), parts["weight_scale"]
        if group.form == "nvfp4":
            factor = parts["weight_global_scale"]
            return nvfp4(packed, parts["weight_packed"], scales, "weight_global_scale", factor)
        if group.form == "mxfp4":
            return mxfp4(packed, parts["weight_packed"], scales)
        if group.kind == "F8_E4M3":
            return float8(packed, parts["weight"], "weight_scale", scales, group.grid)
        return _affine(packed, group, parts)

    def _group(self, packed: QuantisedWeight) -> Group:
        found = self.scheme.group_of(packed.module)
        assert found is not None, f"{packed.module} is in no group"
        return found


def _affine(packed: QuantisedWeight, group: Group, parts: Mapping[str, NDArray[Any]]) -> Affine:
    stored, grid = parts[group.core], group.grid
    count, columns = stored.shape[0], stored.shape[1] * (32 // group.bits if group.packed else 1)
    if group.packed and parts["weight_shape"].tolist() != [count, columns]:
        reason = f"weight_shape is {parts['weight_shape'].tolist()}, not {[count, columns]}"
        file = str(packed.parts["weight_shape"].file)
        raise ModelError(file, f"{packed.module}.{reason}")
    down, across = grid.shape(count, columns)

    @cache
    def scales() -> Floats:
        return packed.floats("weight_scale", parts["weight_scale"]).reshape(down, across)

    @cache
    def zeros() -> Floats:
        if group.symmetric:
            return np.full((1, 1), 1 << (group.bits - 1), dtype=np.float32)
        found = parts["weight_zero_point"]
        if group.packed:
            found = unpack(found.T, group.bits)[:, :down].T
        else:
            found = found.view(np.uint8) ^ _SIGN
        return found.reshape(down, across).astype(np.float32)

    def rows(some: slice) -> AffineRows:
        part = stored[some]
        codes = unpack(part, group.bits) if group.packed else part.view(np.uint8) ^ _SIGN
        of_scales = grid.of_rows(scales(), some)
        of_zeros = np.broadcast_to(grid.of_rows(zeros(), some), of_scales.shape)
        return AffineRows(codes, of_scales, of_zeros)

    size = grid.columns or columns
    index = parts.get("weight_g_idx")
    groups = in_groups(packed, "weight_g_idx", index, across, size)
    return Affine((count, columns), group.bits, size, rows, groups)


def _laid(
    packed: QuantisedWeight, name: str, grid: Grid, shape: tuple[int, int], *kinds: str
) -> StoredTensor:
    """A part that lies on a matrix as the grid says."""
    found = packed.parts.get(name)
    known = found is not None and grid.fits(found.shape, *shape)
    wanted = found.shape if found is not None and known else grid.shape(*shape)
    return packed.part(name, wanted, *kinds)


def _refuse_others(packed: QuantisedWeight, group: Group) -> None:
    """Parts that a module of this group does not have."""
    wanted = {"weight_scale", group.core, *_UNREAD}
    wanted |= {"weight_shape"} if group.packed else set()
    wanted |= {"weight_global_scale"} if group.form == "nvfp4" else set()
    wanted |= {"weight_g_idx"} if group.by_activation else set()
    wanted |= set() if group.symmetric else {"weight_zero_point"}
    for name, stored in packed.parts.items():
        if name not in wanted:
            reason = f"tensor {stored.name} does not fit quantization_config"
            raise ModelError(str(stored.file), reason)
