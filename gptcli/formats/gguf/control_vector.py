"""Control vectors: for each of some layers, what is added to the stream behind it.

The files are those of llama.cpp: `general.architecture` is "controlvector", and the tensor
`direction.N`, float32, is added behind layer N, the first being 0. It never adds anything behind
layer 0, nor has a name for it, so that directions count from 1; those behind the model's last
layer are left alone. `controlvector.layer_count` is how many there are.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gptcli.errors import ModelError
from gptcli.formats.gguf import header
from gptcli.formats.gguf.header import TensorInfo
from gptcli.plain import dataclass

Floats = NDArray[np.float32]

ARCHITECTURE = "controlvector"
_HINT, _COUNT = f"{ARCHITECTURE}.model_hint", f"{ARCHITECTURE}.layer_count"
_NAME = re.compile(r"direction\.([1-9][0-9]{0,3})")
#: Far above what the widest and deepest model needs.
_LIMIT = 256 << 20
_ALIGNMENT = 32
_STRING, _INT32, _F32 = 8, 5, 0


@dataclass(frozen=True)
class ControlVector:
    """directions: by layer, in their order, all of one length. hint: of which kind of model."""

    hint: str
    directions: Mapping[int, Floats]

    @property
    def width(self) -> int:
        """Numbers of a direction."""
        return len(next(iter(self.directions.values())))


def read(path: Path) -> ControlVector:
    """The control vector of a file.

    Raises ModelError for what llama.cpp refuses as well: a tensor of another name, type, shape or
    length; for numbers that are not finite, and for a GGUF file that is something else.
    """
    head = header.read(path)
    said = head.fields.get("general.architecture")
    if said != ARCHITECTURE:
        hint = "it is a model" if isinstance(said, str) and head.tensors else None
        raise ModelError(str(path), f"is no control vector: its architecture is {said!r:.60}", hint)
    if not head.tensors:
        raise ModelError(str(path), "is a control vector without a direction")
    if sum(info.size for info in head.tensors.values()) > _LIMIT:
        raise ModelError(str(path), f"has more than {_LIMIT >> 20} MiB of directions")
    layers = {_layer(path, info): info for info in head.tensors.values()}
    width = math.prod(next(iter(layers.values())).shape)
    for info in layers.values():
        if math.prod(info.shape) != width:
            reason = f"{info.name} has {math.prod(info.shape)} numbers, others have {width}"
            raise ModelError(str(path), reason)
    found = {layer: _numbers(path, layers[layer]) for layer in sorted(layers)}
    hint = head.fields.get(_HINT)
    return ControlVector(hint if isinstance(hint, str) else "", found)


def encode(vector: ControlVector) -> bytes:
    """The file of a control vector. Raises ValueError for a layer for which there is no name."""
    rows = [np.ascontiguousarray(each, "<f4").tobytes() for each in vector.directions.values()]
    out = struct.pack("<4sIQQ", b"GGUF", 3, len(rows), 3)
    out += _text("general.architecture") + struct.pack("<I", _STRING) + _text(ARCHITECTURE)
    out += _text(_HINT) + struct.pack("<I", _STRING) + _text(vector.hint)
    out += _text(_COUNT) + struct.pack("<Ii", _INT32, len(rows))
    data = b""
    for layer, row in zip(vector.directions, rows, strict=True):
        name = f"direction.{layer}"
        if not _NAME.fullmatch(name):
            raise ValueError(f"a control vector has no direction behind layer {layer}")
        out += _text(name) + struct.pack("<IQIQ", 1, len(row) // 4, _F32, len(data))
        data += _padded(row)
    return _padded(out) + data


def _layer(path: Path, info: TensorInfo) -> int:
    named = _NAME.fullmatch(info.name)
    if named is None:
        reason = f"has a tensor {info.name!r:.80} where direction.1 and so on were due"
        raise ModelError(str(path), reason)
    if info.type != "F32":
        raise ModelError(str(path), f"{info.name} is of type {info.type}, not F32")
    if math.prod(info.shape) != info.shape[-1]:
        raise ModelError(str(path), f"{info.name} has {len(info.shape)} dimensions, not one")
    return int(named[1])


def _numbers(path: Path, info: TensorInfo) -> Floats:
    try:
        with path.open("rb") as file:
            file.seek(info.offset)
            data = file.read(info.size)
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror or error}") from None
    if len(data) != info.size:
        raise ModelError(str(path), "ends in the middle of a direction")
    found = np.frombuffer(data, "<f4").astype(np.float32, copy=False)
    if not np.isfinite(found).all():
        raise ModelError(str(path), f"{info.name} has numbers that are not finite")
    return found


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % _ALIGNMENT)
