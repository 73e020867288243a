"""Quantised models, as their settings and the headers of their weights tell of them.

What the formats are is told where they are read, in `engine.quantised`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats.stored import StoredTensor

#: What config.json calls the methods that are read, as a test holds it to the engine's own table.
METHODS = ("gptq", "awq", "compressed-tensors", "fp8", "fbgemm_fp8", "mxfp4")
#: Parts of a weight that hold none of its numbers.
_BESIDE = (
    ".activation_scale",
    ".g_idx",
    ".input_scale",
    ".qzeros",
    ".scales",
    ".weight_scale",
    ".weight_scale_inv",
    ".weight_zero_point",
    "_scales",
)
#: A part that holds numbers → parts of which one each must be beside it.
_PARTNERS: dict[str, tuple[tuple[str, ...], ...]] = {
    ".qweight": ((".scales",),),
    ".weight_packed": ((".weight_scale",), (".weight_shape",)),
}
_FLOAT8: tuple[tuple[str, ...], ...] = ((".weight_scale", ".weight_scale_inv"),)


def config_of(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The part of config.json that says how weights are quantised, None where there is none."""
    found = config.get("quantization_config") or config.get("compression_config")
    return found if isinstance(found, dict) else None


def summary(config: Mapping[str, Any]) -> str | None:
    """`gptq 4 bits, groups of 128`; None where config.json says nothing of it."""
    found = config_of(config)
    if found is None:
        return None
    method = str(found.get("quant_method", "unknown"))
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
        elif name.endswith("_blocks"):
            count += tensor.elements * 2
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
        for partners in wanted:
            if names.isdisjoint(module + partner for partner in partners):
                missing = " or ".join(module + partner for partner in partners)
                raise ModelError(str(tensor.file), f"{name} is stored without {missing}")


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
