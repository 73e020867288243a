from __future__ import annotations

import contextlib
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save

from gptcli.errors import ModelError
from gptcli.formats.safetensors import header as weights_header
from gptcli.formats.safetensors import writing as weights_file
from gptcli.formats.safetensors.writing import Planned


def _planned(name: str, array: np.ndarray, dtype: str, step: int = 3) -> Planned:
    def chunks():
        for start in range(0, len(array), step):
            yield array[start : start + step]

    return Planned(name, dtype, array.shape, chunks)


def test_written_file_is_what_the_library_reads(tmp_path: Path, drain) -> None:
    """Offsets that drift, a header that is not padded, chunks in the wrong order."""
    random = np.random.default_rng(3)
    one = random.standard_normal((7, 5)).astype(np.float32)
    two = random.standard_normal(11).astype(np.float16)
    path = tmp_path / "x.safetensors"
    tensors = [_planned("one", one, "F32"), _planned("ünicode", two, "F16")]
    digest, size = drain(weights_file.write(path, tensors, "writing"))
    found = load_file(path)
    assert np.array_equal(found["one"], one) and np.array_equal(found["ünicode"], two)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert size == path.stat().st_size
    assert set(weights_header.read(path)) == {"one", "ünicode"}


def test_chunks_must_add_up(tmp_path: Path, drain) -> None:
    """A tensor that is cut short shifts all that follow, and no header would show it."""
    tensor = Planned("a", "F32", (4,), lambda: iter([np.zeros(3, np.float32)]))
    with pytest.raises(ValueError, match="planned"):
        drain(weights_file.write(tmp_path / "x", [tensor], "writing"))


GOOD = save({"a": np.ones((2, 3), np.float32), "b": np.ones(4, np.int64)})


def _with_header(header: bytes, data: int) -> bytes:
    return struct.pack("<Q", len(header)) + header + bytes(data)


BAD = {
    "empty": b"",
    "short": b"\1\0",
    "endless header": struct.pack("<Q", 2**63) + b"{}",
    "header beyond the file": struct.pack("<Q", 100) + b"{}",
    "not JSON": _with_header(b"hello", 0),
    "nested": _with_header(b"[" * 50_000, 0),
    "a list": _with_header(b"[]", 0),
    "key twice": _with_header(
        b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        1,
    ),
    "negative": _with_header(b'{"a":{"dtype":"U8","shape":[-1],"data_offsets":[1,0]}}', 0),
    "float": _with_header(b'{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', 1),
    "bool": _with_header(b'{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}', 1),
    "dtype": _with_header(b'{"a":{"dtype":"X","shape":[1],"data_offsets":[0,1]}}', 1),
    "dtype a list": _with_header(b'{"a":{"dtype":[],"shape":[1],"data_offsets":[0,1]}}', 1),
    "wrong size": _with_header(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,1]}}', 1),
    "gap": _with_header(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', 2),
    "truncated": GOOD[:-1],
    "too long": GOOD + b"\0",
}


@pytest.mark.parametrize("what", BAD)
def test_broken_headers_are_refused(tmp_path: Path, what: str) -> None:
    """A header believed before it was held to the file."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(BAD[what])
    with pytest.raises(ModelError):
        weights_header.read(path)


@settings(
    deadline=2000, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6)
)
def test_mutated_headers_are_read_or_refused(
    tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    """Any other exception than ModelError for a damaged file."""
    data = bytearray(GOOD)
    for at, byte in changes:
        data[at] = byte
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    with contextlib.suppress(ModelError):
        weights_header.read(path)
