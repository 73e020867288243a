from __future__ import annotations

import contextlib
import struct
import time
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gptcli.errors import ModelError
from gptcli.formats.gguf import header


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _field(key: str, code: int, value: bytes) -> bytes:
    return _text(key) + struct.pack("<I", code) + value


def _tensor(name: str, dims: list[int], code: int, offset: int) -> bytes:
    shape = struct.pack(f"<I{len(dims)}Q", len(dims), *dims)
    return _text(name) + shape + struct.pack("<IQ", code, offset)


def _file(fields: list[bytes], tensors: list[bytes], data: int = 64, version: int = 3) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(fields))
    head += b"".join(fields) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + bytes(data)


GOOD = _file(
    [
        _field("general.architecture", 8, _text("llama")),
        _field("numbers", 9, struct.pack("<IQ3i", 5, 3, 1, 2, 3)),
        _field("words", 9, struct.pack("<IQ", 8, 2) + _text("ein") + _text("zwei")),
        _field("nested", 9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ2H", 2, 2, 7, 8)),
        _field("flag", 7, b"\1"),
        _field("real", 6, struct.pack("<f", 0.5)),
    ],
    [_tensor("a", [4, 2], 0, 0), _tensor("b", [32], 8, 32)],
    data=32 + 34,
)


def _read(data: bytes, path: Path) -> header.Header:
    path.write_bytes(data)
    return header.read(path)


def test_reads_every_kind_of_value(tmp_path: Path) -> None:
    """A walk that loses its place after an array or a string, or reverses dimensions wrongly."""
    found = _read(GOOD, tmp_path / "x.gguf")
    assert found.fields["numbers"] == [1, 2, 3]
    assert found.fields["words"] == ["ein", "zwei"]
    assert found.fields["nested"] == [[7, 8]]
    assert found.fields["flag"] is True and found.fields["real"] == 0.5
    assert found.tensors["a"].shape == (2, 4) and found.tensors["a"].size == 32
    assert found.tensors["b"].type == "Q8_0" and found.tensors["b"].size == 34
    assert found.tensors["b"].offset == len(GOOD) - 34


def test_agrees_with_the_gguf_package(tmp_path: Path, write_llama) -> None:
    """Our walk and the reference reader seeing different tensors in one file."""
    path = tmp_path / "x.gguf"
    write_llama(path, gguf.GGMLQuantizationType.Q8_0)
    ours, theirs = header.read(path), gguf.GGUFReader(path)
    assert sorted(ours.tensors) == sorted(tensor.name for tensor in theirs.tensors)
    for tensor in theirs.tensors:
        info = ours.tensors[tensor.name]
        assert (info.offset, info.size) == (tensor.data_offset, tensor.n_bytes)
        assert info.shape == tuple(int(n) for n in reversed(tensor.shape))
        assert info.type == tensor.tensor_type.name
    for key, value in ours.fields.items():
        assert np.all(np.asarray(theirs.fields[key].contents()) == np.asarray(value)), key


HUGE = 2**63
BAD = {
    "empty": b"",
    "other magic": b"GGML" + GOOD[4:],
    "version 1": _file([], [], version=1),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + bytes(64),
    "many tensors": b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0) + bytes(64),
    "many fields": b"GGUF" + struct.pack("<IQQ", 3, 0, HUGE) + bytes(64),
    "long key": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, HUGE) + bytes(64),
    "long array": _file([_field("x", 9, struct.pack("<IQ", 0, HUGE))], []),
    "array of strings": _file([_field("x", 9, struct.pack("<IQ", 8, 2**40))], []),
    "empty nested arrays": _file([_field("x", 9, struct.pack("<IQ", 9, 2**60))], []),
    "deep nesting": _file([_field("x", 9, struct.pack("<IQ", 9, 1) * 9)], []),
    "unknown type": _file([_field("x", 13, b"\0")], []),
    "key twice": _file([_field("x", 7, b"\0")] * 2, []),
    "not UTF-8": _file([struct.pack("<Q", 1) + b"\xff" + struct.pack("<IB", 7, 1)], []),
    "alignment 0": _file([_field("general.alignment", 4, struct.pack("<I", 0))], []),
    "alignment 24": _file([_field("general.alignment", 4, struct.pack("<I", 24))], []),
    "alignment a text": _file([_field("general.alignment", 8, _text("32"))], []),
    "no dimensions": _file([], [_tensor("a", [], 0, 0)]),
    "five dimensions": _file([], [_tensor("a", [1] * 5, 0, 0)]),
    "empty tensor": _file([], [_tensor("a", [0], 0, 0)]),
    "overflowing shape": _file([], [_tensor("a", [2**32, 2**32], 0, 0)]),
    "unknown tensor type": _file([], [_tensor("a", [4], 99, 0)]),
    "removed tensor type": _file([], [_tensor("a", [32], 4, 0)]),
    "part of a block": _file([], [_tensor("a", [31], 8, 0)]),
    "misaligned": _file([], [_tensor("a", [4], 0, 8)]),
    "beyond the end": _file([], [_tensor("a", [4], 0, 64)]),
    "huge offset": _file([], [_tensor("a", [4], 0, HUGE)]),
    "tensor twice": _file([], [_tensor("a", [4], 0, 0), _tensor("a", [4], 0, 32)]),
    "overlap": _file([], [_tensor("a", [12], 0, 0), _tensor("b", [4], 0, 32)]),
}


#: What is said of each.
SAID = {
    "empty": "cannot mmap an empty file",
    "other magic": "it does not begin with GGUF",
    "version 1": "version 1 is not supported",
    "big-endian": "version 50331648 is not supported",
    "many tensors": "it claims 9223372036854775808 tensors",
    "many fields": "it claims 9223372036854775808 fields",
    "long key": "it claims 9223372036854775808 bytes of text",
    "long array": "it claims 9223372036854775808 values in an array",
    "array of strings": "it claims 1099511627776 values in an array",
    "empty nested arrays": "it claims 1152921504606846976 values in an array",
    "deep nesting": "arrays are nested deeper than 4",
    "unknown type": "13 is not a type of value",
    "key twice": "the key 'x' appears twice",
    "not UTF-8": "a text in its header is not UTF-8",
    "alignment 0": "alignment 0 is not a power of two",
    "alignment 24": "alignment 24 is not a power of two",
    "alignment a text": "alignment '32' is not a power of two",
    "no dimensions": "tensor 'a' has 0 dimensions",
    "five dimensions": "tensor 'a' has 5 dimensions",
    "empty tensor": "tensor 'a' is empty",
    "overflowing shape": "tensor 'a' reaches beyond the end",
    "unknown tensor type": "tensor 'a' is of the unknown type 99",
    "removed tensor type": "tensor 'a' is of the unknown type 4",
    "part of a block": "rows of tensor 'a' are not whole blocks of 32",
    "misaligned": "tensor 'a' does not begin at a multiple of 32 bytes",
    "beyond the end": "tensor 'a' reaches beyond the end",
    "huge offset": "tensor 'a' reaches beyond the end",
    "tensor twice": "the tensor 'a' appears twice",
    "overlap": "tensors 'a' and 'b' overlap",
}


@pytest.mark.parametrize("what", BAD)
def test_broken_files_are_refused_at_once(tmp_path: Path, what: str) -> None:
    """A count that is believed before the file's size has been asked."""
    start = time.monotonic()
    with pytest.raises(ModelError) as caught:
        _read(BAD[what], tmp_path / "x.gguf")
    assert time.monotonic() - start < 2
    assert caught.value.subject.endswith("x.gguf")
    assert SAID[what] in str(caught.value)


def test_sparse_file_cannot_make_us_allocate(tmp_path: Path) -> None:
    """A file of 1 TiB that takes no disk, with an array that would fill the memory."""
    path = tmp_path / "x.gguf"
    path.write_bytes(_file([_field("x", 9, struct.pack("<IQ", 0, 2**39))], []))
    try:
        with path.open("r+b") as file:
            file.truncate(2**40)
    except OSError:
        pytest.skip("no sparse files of that size here")
    with pytest.raises(ModelError, match="it claims 549755813888 values in an array"):
        header.read(path)


@settings(
    deadline=2000, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8
    ),
    length=st.integers(0, len(GOOD)) | st.just(len(GOOD)),
)
def test_mutated_files_are_read_or_refused(
    tmp_path: Path, changes: list[tuple[int, int]], length: int
) -> None:
    """Anything but a Header or a ModelError, or more than two seconds, for a damaged file."""
    data = bytearray(GOOD)
    for at, byte in changes:
        data[at] = byte
    with contextlib.suppress(ModelError):
        _read(bytes(data[:length]), tmp_path / "x.gguf")
