"""MLX's own quantisation, as mlx-lm writes it.

config.json says `"quantization": {"group_size": 64, "bits": 4, "mode": "affine"}`, and beside these
may have the name of a module with such settings of its own. A module, also an embedding, has for a
weight of `out` rows and `in` columns:

    weight  uint32 (out, in · bits / 32)  numbers from 0 on: a stream of bits, the lowest first
    scales  float (out, in / group_size)  and biases alike; in mode "affine"
            uint8                         exponents of two plus 127 ("mxfp4", "mxfp8"), or
                                          floats of e4m3 ("nvfp4")

weight = q · scale + bias, in the dtype of the scales; or q, a float of four or eight bits, · scale.
https://ml-explore.github.io/mlx/build/html/python/_autosummary/mlx.core.quantize.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.weights.quantised.base import QuantisedWeight
from gptcli.engine.weights.quantised.coded import Affine, AffineRows, Coded, Float8, Float8Rows
from gptcli.engine.weights.quantised.float4 import mxfp4, nvfp4
from gptcli.engine.weights.quantised.packing import unpack
from gptcli.errors import ModelError
from gptcli.formats.stored import StoredTensor
from gptcli.plain import dataclass

_AFFINE = "affine"
#: By mode: groups, bits; the first of each is what is meant where nothing is said.
_MODES = {
    _AFFINE: ((64, 32, 128), (4, 2, 3, 5, 6, 8)),
    "mxfp4": ((32,), (4,)),
    "mxfp8": ((32,), (8,)),
    "nvfp4": ((16,), (4,)),
}


@dataclass(frozen=True)
class Settings:
    """How one module, or all of them, are quantised."""

    mode: str
    group: int
    bits: int


@dataclass(frozen=True)
class Mlx:
    """own: modules with settings that are not those of `all`; plain: those that are not packed."""

    all: Settings
    own: Mapping[str, Settings]
    plain: frozenset[str]

    parts = frozenset({"weight", "scales", "biases"})
    unread: frozenset[str] = frozenset()
    outputs_first = True

    def left_out(self, module: str) -> bool:
        """See Method."""
        return module in self.plain

    def is_packed(self, parts: Mapping[str, StoredTensor]) -> bool:
        """See Method."""
        weight = parts.get("weight")
        return weight is None or weight.kind == "U32" or len(parts) > 1

    def weight(self, packed: QuantisedWeight) -> StoredTensor:
        """See Method."""
        said = self._settings(packed)
        core = packed.core("weight", "U32")
        rows, bits = core.shape[0], core.shape[1] * 32
        columns = bits // said.bits
        if bits % said.bits or columns % said.group:
            reason = f"has {bits} bits a row, which are not whole groups of {said.group} numbers"
            raise ModelError(str(core.file), f"tensor {core.name} {reason} of {said.bits} bits")
        shape, kind = (rows, columns // said.group), "F32"
        if said.mode == _AFFINE:
            kind = packed.part("scales", shape).kind
            packed.part("biases", shape, kind)
        else:
            packed.part("scales", shape, "U8")
            if "biases" in packed.parts:
                reason = f"{packed.module} has biases, which mode {said.mode} has not"
                raise ModelError(str(core.file), reason)
        return packed.weight(core, (rows, columns), kind)

    def coded(self, packed: QuantisedWeight, parts: Mapping[str, NDArray[Any]]) -> Coded:
        """See Method."""
        said, words, scales = self._settings(packed), parts["weight"], parts["scales"]
        if said.mode == "nvfp4":
            one = np.ones(1, dtype=np.float32)
            return nvfp4(packed, words, scales, "scales", one, divided=False, of_scales="scales")
        if said.mode == "mxfp4":
            return mxfp4(packed, words, scales, "scales")
        shape = len(words), scales.shape[1] * said.group
        if said.mode == "mxfp8":
            return Float8(shape, said.group, _float8(packed, words, scales))
        biases = parts["biases"]

        def rows(some: slice) -> AffineRows:
            of_scales = packed.floats("scales", scales[some])
            return AffineRows(
                unpack(words[some], said.bits),
                of_scales,
                np.broadcast_to(np.float32(0), of_scales.shape),
                packed.floats("biases", biases[some]),
            )

        return Affine(shape, said.bits, said.group, rows)

    def _settings(self, packed: QuantisedWeight) -> Settings:
        return self.own.get(packed.module, self.all)


def _float8(packed: QuantisedWeight, words: NDArray[Any], exponents: NDArray[np.uint8]) -> Any:
    def rows(some: slice) -> Float8Rows:
        codes = packed.float8("weight", unpack(words[some], 8))
        scales = np.ldexp(np.float32(1), exponents[some].astype(np.int32) - 127)
        return Float8Rows(codes, packed.floats("scales", scales))

    return rows


def method(config: ConfigFields) -> Mlx:
    """The method that a config's "quantization" describes. Raises ModelError for another."""
    own, plain = {}, set()
    for name in config.names():
        found = config.get(name)
        if name in _FIELDS or found is None:
            continue
        if isinstance(found, dict):
            each = ConfigFields(f"{config.subject}: {name}", found)
            own[name] = _settings(each)
            each.refuse_others(*_FIELDS)
        elif found is False:
            plain.add(name)
        elif found is not True:
            raise config.bad(name, f"is {found!r}, which gptcli does not know")
    return Mlx(_settings(config), own, frozenset(plain))


_FIELDS = ("group_size", "bits", "mode", "quant_method")


def _settings(config: ConfigFields) -> Settings:
    mode = config.one_of("mode", {name: name for name in _MODES}, _AFFINE)
    groups, bits = _MODES[mode]
    group, size = config.count("group_size", groups[0]), config.count("bits", bits[0])
    for name, value, known in (("group_size", group, groups), ("bits", size, bits)):
        if value not in known:
            raise config.bad(name, f"is {value}, which mode {mode} does not have")
    return Settings(mode, group, size)
