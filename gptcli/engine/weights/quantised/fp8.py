"""float8 (e4m3) weights with scales, as DeepSeek, Qwen and others publish them.

A module has, for a weight of `out` rows and `in` columns:

    weight            float8_e4m3 (out, in)
    weight_scale_inv  float (⌈out / rows⌉, ⌈in / columns⌉), one for each block of rows × columns;
    or weight_scale   float: one for the tensor, or one for each row

weight = q · scale, whichever its name, in float32. Activations, which such a model may
quantise as well, stay in full precision: input_scale and activation_scale are not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from numpy.typing import NDArray

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.weights.quantised.base import QuantisedWeight
from gptcli.engine.weights.quantised.coded import Float8, Float8Rows, Floats
from gptcli.engine.weights.quantised.fields import is_listed
from gptcli.engine.weights.quantised.grid import CHANNEL, TENSOR, Grid
from gptcli.errors import ModelError
from gptcli.formats.stored import StoredTensor
from gptcli.plain import dataclass

_SCALES = ("weight_scale_inv", "weight_scale")
_UNREAD = frozenset({"input_scale", "activation_scale"})


@dataclass(frozen=True)
class Fp8:
    """blocks: how scales lie on a weight, None for one for all; plain: what is not quantised."""

    blocks: Grid | None
    plain: frozenset[str]

    parts = frozenset({"weight", *_SCALES, *_UNREAD})
    unread = _UNREAD
    outputs_first = False

    def left_out(self, module: str) -> bool:
        """See Method."""
        return is_listed(module, self.plain)

    def is_packed(self, parts: Mapping[str, StoredTensor]) -> bool:
        """See Method."""
        weight = parts.get("weight")
        return weight is None or weight.kind == "F8_E4M3" or len(parts) > 1

    def weight(self, packed: QuantisedWeight) -> StoredTensor:
        """See Method."""
        if "weight" not in packed.parts:
            some = next(iter(packed.parts.values()))
            raise ModelError(str(some.file), f"tensor {some.name} belongs to no weight")
        core = packed.core("weight", "F8_E4M3")
        _, stored = self._scale(packed)
        self._grid(packed, core.shape, stored)
        packed.check_kind(stored)
        return packed.weight(core, (core.shape[0], core.shape[1]), "F32")

    def coded(self, packed: QuantisedWeight, parts: Mapping[str, NDArray[Any]]) -> Float8:
        """See Method."""
        name, stored = self._scale(packed)
        core = parts["weight"]
        return float8(packed, core, name, parts[name], self._grid(packed, core.shape, stored))

    def _scale(self, packed: QuantisedWeight) -> tuple[str, StoredTensor]:
        found = [(name, packed.parts[name]) for name in _SCALES if name in packed.parts]
        if len(found) != 1:
            names = " or ".join(f"{packed.module}.{name}" for name in _SCALES)
            reason = f"tensor {names} is missing" if not found else f"{names}: only one may be"
            raise ModelError(str(packed.parts["weight"].file), reason)
        return found[0]

    def _grid(self, packed: QuantisedWeight, shape: tuple[int, ...], stored: StoredTensor) -> Grid:
        grids = (TENSOR, CHANNEL, *([self.blocks] if self.blocks else []))
        return fitting(grids, stored, shape)


def fitting(grids: Iterable[Grid], stored: StoredTensor, shape: tuple[int, ...]) -> Grid:
    """The first of these that scales lie on a weight as. Raises ModelError where none is."""
    rows, columns = shape
    for grid in grids:
        if grid.fits(stored.shape, rows, columns):
            return grid
    reason = f"tensor {stored.name} has shape {list(stored.shape)}, which does not fit"
    raise ModelError(str(stored.file), f"{reason} a weight of {list(shape)}")


def float8(
    packed: QuantisedWeight, codes: NDArray[Any], name: str, scales: NDArray[Any], grid: Grid
) -> Float8:
    """float8 numbers (out, in) of the part "weight" with scales of the part `name`."""
    count, columns = codes.shape

    @cache
    def laid() -> Floats:
        return packed.floats(name, scales).reshape(grid.shape(count, columns))

    def rows(some: slice) -> Float8Rows:
        return Float8Rows(packed.float8("weight", codes[some]), grid.of_rows(laid(), some))

    return Float8((count, columns), grid.columns or columns, rows)


#: What float8 tensors in a directory without a quantization_config are taken for.
UNSAID = Fp8(Grid(128, 128), frozenset())


def method(config: ConfigFields) -> Fp8:
    """The method that a quantization_config describes. Raises ModelError for what is not known."""
    config.refuse_others(
        "quant_method",
        "activation_scheme",
        "activation_scale_ub",
        "weight_block_size",
        "fmt",
        "scale_fmt",
        "modules_to_not_convert",
        "ignored_layers",
        "modules_to_convert",
        "expert_dtype",
        "dequantize",
    )
    config.refuse_unless("fmt", "e4m3")
    config.refuse_unless("expert_dtype", "fp8")
    config.refuse_unless("activation_scheme", "dynamic", "static")
    # Scales that are powers of two are floats all the same, where they are stored as such.
    config.refuse_unless("scale_fmt", "float", "ue8m0")
    default = (128, 128) if config.word("quant_method") == "fp8" else None
    said = config.has("weight_block_size") and config.get("weight_block_size") is None
    blocks = None if said or default is None else Grid(*config.pair("weight_block_size", default))
    plain = frozenset(config.texts("modules_to_not_convert") + config.texts("ignored_layers"))
    return Fp8(blocks, plain)
