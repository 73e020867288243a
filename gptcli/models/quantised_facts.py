"""Quantised models, as their settings and the headers of their weights tell of them.

What the formats are is told where they are read, in `engine.weights.quantised`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import quantization
from gptcli.formats.stored import StoredTensor

#: What config.json calls the methods that are read, as a test holds it to the engine's own table.
METHODS = ("gptq", "awq", "compressed-tensors", "fp8", "fbgemm_fp8", "mxfp4", "modelopt")
#: Parts of a weight that hold none of its numbers.
_BESIDE = (
    ".activation_scale",
    ".biases",
    ".g_idx",
    ".input_global_scale",
    ".input_scale",
    ".k_scale",
    ".qzeros",
    ".scales",
    ".v_scale",
    ".weight_g_idx",
    ".weight_global_scale",
    ".weight_scale",
    ".weight_scale_2",
    ".weight_scale_inv",
    ".weight_zero_point",
    "_scales",
)
#: Parts whose bytes hold two floats of four bits each.
_PAIRED = (".weight", ".weight_packed")
#: A part that holds numbers → parts of which one each must be beside it.
_PARTNERS: dict[str, tuple[tuple[str, ...], ...]] = {
    ".qweight": ((".scales",),),
    ".weight_packed": ((".weight_scale",), (".weight_shape",)),
}
#: The same by dtype: floats of eight bits, and of four, two in a byte.
_FLOAT8: tuple[tuple[str, ...], ...] = ((".weight_scale", ".weight_scale_inv"),)
_FLOAT4: dict[str, tuple[tuple[str, ...], ...]] = {
    "weight": ((".weight_scale",), (".weight_scale_2",)),
    "weight_packed": ((".weight_scale",),),
}
#: MLX's words of a module's numbers, and what these need.
_MLX: tuple[tuple[str, ...], ...] = ((".scales",),)


def config_of(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The part of config.json that says how weights are quantised, None where there is none."""
    name = quantization.field(config.get)
    found = None if name is None else config[name]
    return found if isinstance(found, dict) else None


def summary(config: Mapping[str, Any]) -> str | None:
    """`gptq 4 bits, groups of 128`; None where config.json says nothing of it."""
    found = config_of(config)
    if found is None:
        return None
    method = str(found.get("quant_method", "unknown"))
    if quantization.is_mlx(found.get):
        mode = found.get("mode", "affine")
        words = _weights(found)
        return f"mlx {words}" if mode == "affine" else f"mlx {mode}"
    if isinstance(found.get("quant_algo"), str):
        return f"{method} {found['quant_algo']}"
    groups = found.get("config_groups")
    if isinstance(groups, dict):
        kinds = [
            _weights(group.get("weights")) for group in groups.values() if isinstance(group, dict)
        ]
        return f"{method} {'; '.join(dict.fromkeys(kinds))}".rstrip()
    block = found.get("weight_block_size")
    if isinstance(block, list) and len(block) == 2:
        return f"{method} in blocks of {block[0]} × {block[1]}"
    return f"{method} {_weights(found)}".rstrip()


def _weights(found: Any) -> str:
    if not isinstance(found, dict):
        return ""
    bits = found.get("bits", found.get("num_bits"))
    words = [f"{bits} bits"] if isinstance(bits, int) else []
    if found.get("type") == "float":
        words[-1:] = [f"float{bits}"]
    size = found.get("group_size")
    if isinstance(size, int) and size > 0:
        words.append(f"groups of {size}")
    return ", ".join(words)


def parameters(tensors: Iterable[StoredTensor], config: Mapping[str, Any]) -> int:
    """How many numbers stored tensors stand for."""
    found = config_of(config)
    if found is None:
        return sum(tensor.elements for tensor in tensors)
    bits = found.get("bits")
    count = 0
    for tensor in tensors:
        name = tensor.name
        if name.endswith(".weight_shape"):
            rows, columns = _two_numbers(tensor)
            count += rows * columns
        elif name.endswith(".qweight") and isinstance(bits, int) and bits > 0:
            count += tensor.elements * 32 // bits
        elif name.endswith("_blocks") or (name.endswith(_PAIRED) and tensor.kind == "U8"):
            count += tensor.elements * 2
        elif tensor.kind == "U32":
            count += tensor.elements * 32 // _mlx_bits(found, name)
        elif not (is_beside(name) or name.endswith(".weight_packed")):
            count += tensor.elements
    return count


def is_beside(name: str) -> bool:
    """Whether a tensor is a part of a quantised weight that holds none of its numbers."""
    return name.endswith(_BESIDE)


def check(tensors: Sequence[StoredTensor]) -> None:
    """Raises ModelError for a quantised weight that lacks a part, or is not whole blocks."""
    names = {tensor.name for tensor in tensors}
    for tensor in tensors:
        name = tensor.name
        module, dot, part = name.rpartition(".")
        wanted = _PARTNERS.get(dot + part, ())
        if part == "weight" and tensor.kind == "F8_E4M3":
            wanted = _FLOAT8
        elif part in _FLOAT4 and tensor.kind == "U8":
            wanted = _FLOAT4[part]
        elif part == "weight" and tensor.kind == "U32":
            wanted = _MLX
        for partners in wanted:
            if names.isdisjoint(module + partner for partner in partners):
                missing = " or ".join(module + partner for partner in partners)
                raise ModelError(str(tensor.file), f"{name} is stored without {missing}")


def _mlx_bits(found: Mapping[str, Any], name: str) -> int:
    """The bits of a number of a module in MLX's form, 32 where its settings make no sense."""
    own = found.get(name.rpartition(".")[0])
    bits = (own if isinstance(own, dict) else found).get("bits", 4)
    return bits if isinstance(bits, int) and 0 < bits <= 32 else 32


def _two_numbers(tensor: StoredTensor) -> tuple[int, int]:
    path, kind = tensor.file, {"I64": "<2q", "I32": "<2i"}.get(tensor.kind)
    if kind is None or tensor.shape != (2,):
        raise ModelError(str(path), "has a weight_shape that is not two whole numbers")
    try:
        with path.open("rb") as file:
            file.seek(tensor.begin)
            rows, columns = struct.unpack(kind, file.read(tensor.end - tensor.begin))
    except (OSError, struct.error) as error:
        raise ModelError(str(path), f"cannot be read: {error}") from None
    return max(rows, 0), max(columns, 0)
