"""Stored tensors as numpy arrays over the mapped files: nothing is copied, no torch is needed.

The library itself has no bfloat16 for numpy. Format: github.com/huggingface/safetensors.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.errors import ModelError, ResourceError
from gptcli.formats.safetensors.header import StoredTensor

#: What the format's dtypes are read as, all of them little-endian; of floats that numpy does not
#: have, the bits.
_DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "C64": "<c8",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "BOOL": "?",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1",
    "F8_E4M3": "u1", "F8_E5M2": "u1", "F8_E8M0": "u1", "F8_E4M3FNUZ": "u1", "F8_E5M2FNUZ": "u1",
}  # fmt: skip


class MappedFiles:
    """The numbers of stored tensors; files are mapped, and pages read, when they are used.

    private: arrays may be written to, which changes what this process sees and never the file.
    """

    def __init__(self, *, private: bool = False) -> None:
        self._access = mmap.ACCESS_COPY if private else mmap.ACCESS_READ
        self._pages: dict[Path, mmap.mmap] = {}

    def array(self, tensor: StoredTensor) -> NDArray[Any]:
        """The tensor, of its shape. KeyError for floats of less than 8 bits. Raises as `bytes`."""
        return self.bytes(tensor).view(_DTYPES[tensor.kind]).reshape(tensor.shape)

    def bytes(self, tensor: StoredTensor) -> NDArray[np.uint8]:
        """The bytes of the tensor, in one row.

        Raises ResourceError where the file does not fit into the address space, ModelError where
        it is shorter than it was when its header was read.
        """
        pages = self._map(tensor.file)
        if tensor.end > len(pages):
            raise ModelError(str(tensor.file), "was cut short while it was being read")
        # The view keeps the map, which needs no open file.
        return np.ndarray((tensor.end - tensor.begin,), np.uint8, pages, tensor.begin)

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
