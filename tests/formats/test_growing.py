"""Arrays that grow row by row: what other programs read, and what is left when writing stops."""

from __future__ import annotations

import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file

from gptcli.formats.growing.growing_file import Form, growing
from gptcli.formats.growing.npz import joined_crc

FORM = Form("activations", (2, 3), {"ids": "i4", "offsets": "i8"})
ROWS = np.random.default_rng(0).standard_normal((20, 2, 3)).astype("<f4")
every_kind = pytest.mark.parametrize("ending", [".npz", ".safetensors"])


def read(path: Path) -> dict[str, Any]:
    """By the libraries that know the formats; numpy checks no checksum, zipfile does."""
    if path.suffix == ".safetensors":
        with safe_open(path, "np") as file:
            return {**load_file(path), **(file.metadata() or {})}
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays}


def written(path: Path, *, kept: int, begun: int) -> dict[str, Any]:
    with growing(path, FORM) as file:
        file.facts["model"] = "smöl"
        for start in range(0, begun, 5):
            file.rows(ROWS[start : start + 5].tobytes())
            file.add("ids", range(start, start + 5))
            file.add("offsets", [start + (1 << 40)])
            if start < kept:
                file.keep()
        assert file.kept == kept
    return read(path)


@every_kind
@pytest.mark.parametrize(("kept", "begun"), [(20, 20), (10, 15), (5, 20)])
def test_what_was_kept_is_in_the_file(tmp_path: Path, ending: str, kept: int, begun: int) -> None:
    """Catches a header that says another shape, a checksum of other bytes, and rows or numbers of
    columns that stay although what they belong to was not kept."""
    found = written(tmp_path / f"x{ending}", kept=kept, begun=begun)
    assert found["activations"].dtype == np.float32
    np.testing.assert_array_equal(found["activations"], ROWS[:kept])
    assert (found["ids"].dtype, found["offsets"].dtype) == (np.int32, np.int64)
    assert found["ids"].tolist() == list(range(kept))
    assert found["offsets"].tolist() == [start + (1 << 40) for start in range(0, kept, 5)]
    assert str(found["model"]) == "smöl"
    assert [each.name for each in tmp_path.iterdir()] == [f"x{ending}"]


@every_kind
def test_the_same_is_the_same_bytes(tmp_path: Path, ending: str) -> None:
    """Catches a time, or what was there before, in the file."""
    one, two = tmp_path / f"one{ending}", tmp_path / f"two{ending}"
    for path, begun in ((one, 10), (two, 20)):
        written(path, kept=10, begun=begun)
    assert one.read_bytes() == two.read_bytes()


@every_kind
def test_nothing_torn_is_left(tmp_path: Path, ending: str) -> None:
    """Catches a part that stays, and an older file that is lost, where writing failed."""
    path = tmp_path / f"x{ending}"
    path.write_bytes(b"before")
    with pytest.raises(KeyError), growing(path, FORM) as file:
        file.rows(ROWS.tobytes())
        raise KeyError
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_half_a_row_is_refused(tmp_path: Path) -> None:
    """Catches rows that are all in the wrong place behind one."""
    with pytest.raises(ValueError, match="are no rows"), growing(tmp_path / "x.npz", FORM) as file:
        file.rows(b"\0" * 23)


@every_kind
def test_memory_does_not_grow_with_rows(tmp_path: Path, ending: str) -> None:
    """Catches rows, or their columns, that are held until the end."""
    rows, count = ROWS[:10].tobytes() * 500, 5000
    tracemalloc.start()
    try:
        with growing(tmp_path / f"x{ending}", FORM) as file:
            for _ in range(100):
                file.rows(rows)
                file.add("ids", range(count))
                file.add("offsets", range(count))
            file.keep()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / f"x{ending}").stat().st_size > 100 * (len(rows) + 12 * count)
    assert peak < 3 << 20


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksums_of_parts_make_that_of_the_whole(one: bytes, other: bytes) -> None:
    """Catches a power of x that is one too high or low."""
    assert joined_crc(zlib.crc32(one), zlib.crc32(other), len(other)) == zlib.crc32(one + other)
