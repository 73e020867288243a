"""The library as an older one would be: what it tells of itself is changed in its bytes."""

from __future__ import annotations

import ctypes as c
import struct
from pathlib import Path

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.binding.library import HERE, LIBRARY


def stale_library(path: Path, struct_number: int = 0) -> Path:
    """One for which a struct of abi.STRUCTS was eight bytes smaller."""
    sizes = [abi.VERSION, *map(c.sizeof, abi.STRUCTS)]
    other = list(sizes)
    other[1 + struct_number] -= 8
    assert (HERE / LIBRARY).read_bytes().count(_numbers(sizes)) == 1
    return patched_library(path, _numbers(sizes), _numbers(other))


def patched_library(path: Path, old: bytes, new: bytes) -> Path:
    """One that has `new` where this one has `old`, everywhere."""
    library = (HERE / LIBRARY).read_bytes()
    assert old in library
    assert len(old) == len(new)
    path.write_bytes(library.replace(old, new))
    return path


def _numbers(sizes: list[int]) -> bytes:
    return struct.pack(f"<{len(sizes)}i", *sizes)
