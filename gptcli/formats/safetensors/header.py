"""The header of a safetensors file, checked against the file's size before it is believed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.formats.stored import StoredTensor

#: The limit of the safetensors library itself, and one on what is told of tensors.
_HEADER_LIMIT = 100_000_000
_MOST_TENSORS = 1 << 17
#: Bits per element of each dtype of the format.
_BITS = {"F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32}
_BITS |= {"F16": 16, "BF16": 16, "I16": 16, "U16": 16, "I8": 8, "U8": 8, "BOOL": 8}
_BITS |= {"F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8}
_BITS |= {"F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}
#: The most axes that numpy and torch have, and bits that they can count.
_AXES, _COUNTED = 64, 1 << 63


def read(path: Path) -> dict[str, StoredTensor]:
    """The tensors of a file by name. Memory and time are bounded, whatever the header says.

    Raises ModelError where the header does not parse, or the tensors do not cover the rest of
    the file exactly, one after the other.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or not 2 <= length <= min(_HEADER_LIMIT, size - 8):
                raise ModelError(str(path), "is not a safetensors file: its header has no end")
            text = file.read(length)
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror}") from None
    entries = jsonfile.parse(text, str(path))
    entries.pop("__metadata__", None)
    if len(entries) > _MOST_TENSORS:
        raise ModelError(str(path), f"holds {len(entries)} tensors, more than {_MOST_TENSORS}")
    at = 8 + length
    tensors = {name: _tensor(path, name, entry, at) for name, entry in entries.items()}
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if tensor.begin != at:
            raise ModelError(str(path), f"tensor {name} does not begin where the one before ends")
        at = tensor.end
    if at != size:
        raise ModelError(str(path), f"is {size} bytes long, but its header describes {at}")
    return tensors


def _tensor(path: Path, name: str, entry: Any, data: int) -> StoredTensor:
    """`data` is where the tensors begin in the file."""
    try:
        kind, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
        bits = _BITS[kind]
        numbers = [*shape, begin, end]
    except (KeyError, TypeError, ValueError):
        raise ModelError(str(path), f"tensor {name} is not described as it should be") from None
    if any(type(number) is not int or number < 0 for number in numbers):
        raise ModelError(str(path), f"tensor {name} has a size that is not a whole number")
    # Before any are multiplied: of many long numbers that alone would take minutes.
    if len(shape) > _AXES or max(numbers) >= _COUNTED or not _countable(shape, bits):
        raise ModelError(str(path), f"tensor {name} has an impossible shape")
    tensor = StoredTensor(name, path, kind, tuple(shape), data + begin, data + end)
    if tensor.elements * bits != (end - begin) * 8:
        raise ModelError(str(path), f"tensor {name} does not have the size of its shape")
    return tensor


def _countable(shape: list[int], bits: int) -> bool:
    """Whether numpy and torch can count its bits, also where an axis of 0 makes it empty."""
    return math.prod(filter(None, shape)) * bits < _COUNTED
