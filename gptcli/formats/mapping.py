"""Stored tensors as numpy arrays over the mapped files: nothing is copied, no torch is needed.

The library itself has no bfloat16 for numpy. Format: github.com/huggingface/safetensors.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gptcli.errors import ModelError, ResourceError
from gptcli.formats.gguf.reading import Rows
from gptcli.formats.stored import StoredTensor

#: What the format's dtypes are read as, all of them little-endian; of floats that numpy does not
#: have, the bits.
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "C64": "<c8",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "BOOL": "?",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
    "F8_E4M3": "u1", "F8_E5M2": "u1", "F8_E8M0": "u1", "F8_E4M3FNUZ": "u1", "F8_E5M2FNUZ": "u1",
}  # fmt: skip


class Place(Protocol):
    """Bytes [begin, end) of a file."""

    @property
    def file(self) -> Path:
        """The file."""
        ...

    @property
    def begin(self) -> int:
        """The first of them."""
        ...

    @property
    def end(self) -> int:
        """The one after the last."""
        ...


class MappedFiles:
    """The numbers of stored tensors; files are mapped, and pages read, when they are used.

    private: arrays may be written to, which changes what this process sees and never the file.
    """

    def __init__(self, *, private: bool = False) -> None:
        self._access = mmap.ACCESS_COPY if private else mmap.ACCESS_READ
        self._pages: dict[Path, mmap.mmap] = {}

    def array(self, tensor: StoredTensor) -> NDArray[Any]:
        """The tensor, of its shape, blocks as float32.

        KeyError for floats of less than 8 bits. Raises as `bytes`, and ModelError for a tensor that
        is converted and holds a number beyond its dtype.
        """
        if tensor.taken is None:
            return self.bytes(tensor).view(_DTYPES[tensor.kind]).reshape(tensor.shape)
        try:
            found = self.rows(tensor).array()
        except FloatingPointError:
            reason = f"tensor {tensor.name} does not fit {tensor.kind}"
            raise ModelError(str(tensor.file), reason) from None
        found = found.reshape(tensor.taken.physical(tensor.shape))
        return found.swapaxes(-1, -2) if tensor.taken.turned else found

    def rows(self, tensor: StoredTensor) -> Rows:
        """The rows of a tensor that is taken from a GGUF file."""
        assert tensor.taken is not None, "the caller asked"
        return Rows(tensor.taken, tensor.taken.places(), self.bytes)

    def bytes(self, place: Place) -> NDArray[np.uint8]:
        """The bytes of a tensor, in one row.

        Raises ResourceError where the file does not fit into the address space, ModelError where
        it is shorter than it was when its header was read.
        """
        pages = self._map(place.file)
        if place.end > len(pages):
            raise ModelError(str(place.file), "was cut short while it was being read")
        # The view keeps the map, which needs no open file.
        return np.ndarray((place.end - place.begin,), np.uint8, pages, place.begin)

    def release(self, file: Path) -> None:
        """Give the system back the pages of a file that were read; they are read again if used."""
        if file in self._pages and hasattr(mmap, "MADV_DONTNEED"):
            self._pages[file].madvise(mmap.MADV_DONTNEED)

    def _map(self, file: Path) -> mmap.mmap:
        if file not in self._pages:
            try:
                with file.open("rb") as opened:
                    self._pages[file] = mmap.mmap(opened.fileno(), 0, access=self._access)
            except (OSError, OverflowError, ValueError) as error:
                raise ResourceError(str(file), f"cannot be mapped: {error}") from None
        return self._pages[file]
