"""Safetensors as numpy arrays over the mapped files, without torch.

The library itself has no bfloat16 for numpy. Format: github.com/huggingface/safetensors.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.errors import ModelError, ResourceError
from gptcli.formats.safetensors import header as weights_header
from gptcli.formats.safetensors import shards

#: What the format's dtypes are read as, all of them little-endian; BF16 as the bits of it.
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


@dataclass(frozen=True)
class Mapped:
    """A stored tensor, not to be written to, see weights.Described.

    kind: its dtype in the format's words, or, for a matrix in GGUF's blocks, theirs (Q8_0, …), of
    which `array` has the bytes and `shape` the numbers. array: None where numpy cannot hold it
    (8-bit floats and smaller).
    """

    name: str
    file: Path
    kind: str
    shape: tuple[int, ...]
    array: NDArray[Any] | None


class MappedFiles:
    """Every tensor of a model directory by its stored name; pages are read when they are used."""

    def __init__(self, directory: Path) -> None:
        """Raises ModelError and ResourceError.

        The former where a file is missing, damaged or lacks what the index says, or where a
        tensor is stored twice; the latter where a file does not fit into the address space.
        """
        self.directory = directory
        self.tensors: dict[str, Mapped] = {}
        self._pages: dict[Path, mmap.mmap] = {}
        missing = _expected(directory)
        for file in shards.files(directory):
            for name, tensor in self._open(file).items():
                if name in self.tensors:
                    raise ModelError(str(file), f"{name} is stored twice")
                if missing.get(name) == file.name:
                    del missing[name]
                self.tensors[name] = tensor
        for name, shard in missing.items():
            raise ModelError(str(directory / shard), f"lacks {name}, which the index says it holds")

    def release(self, file: Path) -> None:
        """Give the system back the pages of a file that were read; they are read again if used."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._pages[file].madvise(mmap.MADV_DONTNEED)

    def _open(self, file: Path) -> dict[str, Mapped]:
        if not file.is_file():
            raise ModelError(str(file), "is missing")
        # Checked against the file's size: no view reaches beyond its end.
        header = weights_header.read(file)
        try:
            with file.open("rb") as opened:
                # The views keep the map, which needs no open file.
                pages = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, OverflowError, ValueError) as error:
            raise ResourceError(str(file), f"cannot be mapped: {error}") from None
        self._pages[file] = pages
        begin = 8 + int.from_bytes(pages[:8], "little")
        try:
            return {
                name: Mapped(name, file, tensor.dtype, tensor.shape, _view(pages, begin, tensor))
                for name, tensor in header.items()
            }
        except (OverflowError, ValueError) as error:
            # Too many axes, or sizes beyond what can be counted next to one that is 0.
            raise ModelError(str(file), f"has a tensor of an impossible shape: {error}") from None


def _expected(directory: Path) -> dict[str, str]:
    if (directory / shards.WEIGHTS).is_file():
        return {}
    return dict(shards.weight_map(directory / shards.INDEX))


def _view(pages: mmap.mmap, begin: int, tensor: weights_header.Tensor) -> NDArray[Any] | None:
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        return None
    return np.ndarray(tensor.shape, dtype, pages, begin + tensor.begin)
