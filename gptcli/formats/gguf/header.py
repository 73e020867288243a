"""The header of a GGUF file, read with every count held to the file's size.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3,
little-endian). The reader of the `gguf` package trusts the counts it finds and can be made to
loop for hours; this one raises ModelError before it allocates or loops over anything that the
file cannot hold.
"""

from __future__ import annotations

import itertools
import mmap
import struct
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import files
from gptcli.plain import dataclass

#: Limits far above any real header: a sparse file can claim any size for free. Values are those of
#: all arrays together, of which a vocabulary has at most two million.
_HEADER_LIMIT = 128 << 20
_FIELD_LIMIT = 1 << 16
_TENSOR_LIMIT = 1 << 17
_VALUE_LIMIT = 6 << 20
#: How many numbers a text, and an array within another, counts for: they take as much longer.
_TEXT, _INNER = 2, 16
_DEPTH_LIMIT = 4
_DIMS_LIMIT = 4
#: No machine has room for a longer axis, and a product of such ones is soon counted.
_AXIS_LIMIT = 1 << 48

_MAGIC = b"GGUF"
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS[12] = "d"
_STRING, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")
#: The fewest bytes that a value of a type takes: a length, or a type and a count.
_LEAST = {code: struct.calcsize(f"<{form}") for code, form in _SCALARS.items()}
_LEAST |= {_STRING: 8, _ARRAY: 12}
_LEAST_FIELD = 8 + 4 + 1
_LEAST_TENSOR = 8 + 4 + 8 + 4 + 8


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies: `offset` from the start of `file` and `size`, in bytes.

    shape counts elements, rows first (the reverse of the file's order); type is a ggml type's name.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int
    size: int
    file: Path


@dataclass(frozen=True)
class Header:
    """The metadata of a GGUF file and its tensors by name."""

    path: Path
    fields: dict[str, Any]
    tensors: dict[str, TensorInfo]


class _BadFileError(Exception):
    """What is wrong with the file."""


def is_gguf(path: Path) -> bool:
    """Whether a file, whatever its name, begins as a GGUF file does. Raises OSError."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read(path: Path) -> Header:
    """The header of a GGUF file. Raises ModelError for anything the format does not allow."""
    files.refuse_special(path)
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            walk = _Walk(data, path)
            fields, tensors = walk.header()
            return Header(path, fields, tensors)
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror or error}") from None
    except (_BadFileError, ValueError) as error:
        # ValueError: an empty file cannot be mapped.
        raise ModelError(str(path), f"is not a valid GGUF file: {error}") from None


class _Walk:
    """A cursor over the file that refuses to pass its end."""

    def __init__(self, data: mmap.mmap, path: Path) -> None:
        self.data = data
        self.path = path
        self.at = 0
        self.size = len(data)
        self.limit = min(self.size, _HEADER_LIMIT)
        self.values = _VALUE_LIMIT

    def header(self) -> tuple[dict[str, Any], dict[str, TensorInfo]]:
        if self.take(len(_MAGIC)) != _MAGIC:
            raise _BadFileError("it does not begin with GGUF")
        version = self.number("I")
        if version not in (2, 3):
            raise _BadFileError(f"version {version} is not supported")
        tensor_count = self.count(_LEAST_TENSOR, "tensors")
        field_count = self.count(_LEAST_FIELD, "fields")
        if tensor_count > _TENSOR_LIMIT or field_count > _FIELD_LIMIT:
            raise _BadFileError(f"{tensor_count} tensors and {field_count} fields are too many")
        fields: dict[str, Any] = {}
        for _ in range(field_count):
            key = self.string()
            if key in fields:
                raise _BadFileError(f"the key {key!r} appears twice")
            fields[key] = self.value(self.number("I"), 0)
        infos = [self.tensor() for _ in range(tensor_count)]
        return fields, self.place(infos, fields.get("general.alignment", 32))

    def take(self, size: int) -> bytes:
        if size > self.limit - self.at:
            raise _BadFileError("it ends in the middle of its header")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str) -> int:
        found = struct.unpack(f"<{form}", self.take(struct.calcsize(f"<{form}")))[0]
        assert isinstance(found, int)
        return found

    def count(self, least: int, what: str) -> int:
        found = self.number("Q")
        # Checked against all that is left, since the counts of both come before either.
        if found * least > self.limit - self.at:
            raise _BadFileError(f"it claims {found} {what}, more than it can hold")
        return found

    def string(self) -> str:
        # By hand, since there are half a million of them.
        start = self.at + 8
        if start > self.limit:
            raise _BadFileError("it ends in the middle of its header")
        (size,) = _LENGTH.unpack_from(self.data, self.at)
        end = start + size
        if end > self.limit:
            raise _BadFileError(f"it claims {size} bytes of text, more than it can hold")
        self.at = end
        try:
            return self.data[start:end].decode()
        except UnicodeDecodeError:
            raise _BadFileError("a text in its header is not UTF-8") from None

    def value(self, code: int, depth: int) -> Any:
        if code == _STRING:
            return self.string()
        if code == _ARRAY:
            return self.array(depth + 1)
        if code not in _SCALARS:
            raise _BadFileError(f"{code} is not a type of value")
        form = f"<{_SCALARS[code]}"
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def array(self, depth: int) -> list[Any]:
        if depth > _DEPTH_LIMIT:
            raise _BadFileError(f"arrays are nested deeper than {_DEPTH_LIMIT}")
        code = self.number("I")
        if code not in _LEAST:
            raise _BadFileError(f"{code} is not a type of value")
        length = self.count(_LEAST[code], "values in an array")
        # Before any is read, and for all arrays together.
        self.values -= length * {_STRING: _TEXT, _ARRAY: _INNER}.get(code, 1)
        if self.values < 0:
            raise _BadFileError("its arrays hold more values than any model needs")
        if code in _SCALARS:
            form = f"<{length}{_SCALARS[code]}"
            return list(struct.unpack(form, self.take(struct.calcsize(form))))
        if code == _STRING:
            return [self.string() for _ in range(length)]
        return [self.array(depth + 1) for _ in range(length)]

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self.string()
        dims = self.number("I")
        if not 1 <= dims <= _DIMS_LIMIT:
            raise _BadFileError(f"tensor {name!r} has {dims} dimensions")
        shape = tuple(self.number("Q") for _ in range(dims))
        return name, shape, self.number("I"), self.number("Q")

    def place(
        self, infos: list[tuple[str, tuple[int, ...], int, int]], alignment: object
    ) -> dict[str, TensorInfo]:
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise _BadFileError(f"alignment {alignment!r} is not a power of two")
        start = -(-self.at // alignment) * alignment
        found: dict[str, TensorInfo] = {}
        for name, shape, code, offset in infos:
            if name in found:
                raise _BadFileError(f"the tensor {name!r} appears twice")
            kind, size = _measure(name, shape, code)
            if offset % alignment:
                raise _BadFileError(
                    f"tensor {name!r} does not begin at a multiple of {alignment} bytes"
                )
            if start + offset + size > self.size:
                raise _BadFileError(f"tensor {name!r} reaches beyond the end of the file")
            found[name] = TensorInfo(name, kind, shape[::-1], start + offset, size, self.path)
        _apart(list(found.values()))
        return found


def _measure(name: str, shape: tuple[int, ...], code: int) -> tuple[str, int]:
    """The ggml type's name and the tensor's size in bytes."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        kind = GGMLQuantizationType(code)
        block, width = GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError):
        raise _BadFileError(f"tensor {name!r} is of the unknown type {code}") from None
    if shape[0] % block:
        raise _BadFileError(f"rows of tensor {name!r} are not whole blocks of {block}")
    count = 1
    for length in shape:
        if not 0 < length < _AXIS_LIMIT:
            raise _BadFileError(f"tensor {name!r} is {'empty' if not length else 'endless'}")
        count *= length
    return str(kind.name), count // block * width


def _apart(infos: list[TensorInfo]) -> None:
    """Overlapping tensors would let a small file become a huge model."""
    infos.sort(key=lambda info: info.offset)
    for one, two in itertools.pairwise(infos):
        if one.offset + one.size > two.offset:
            raise _BadFileError(f"tensors {one.name!r} and {two.name!r} overlap")
