"""A safetensors file, written one tensor at a time and in chunks of rows.

Format: 8 bytes of little-endian header length, a JSON header (name → dtype, shape, data_offsets
relative to the end of the header), then the tensors' bytes without gaps. The header is padded
with spaces to a multiple of 8. https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gptcli.types.events import Progress

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Bytes per element of the dtypes written here.
WIDTHS = {"F32": 4, "F16": 2, "BF16": 2, "U8": 1}


class Chunks(Protocol):
    """Gives the rows of a tensor, from the first to the last, a chunk at a time."""

    def __call__(self) -> Iterator[npt.NDArray[np.generic]]:
        """Chunks whose bytes follow each other in the file; BF16 is held in uint16."""
        ...


@dataclass(frozen=True)
class Planned:
    """A tensor to be written: its dtype is a key of WIDTHS, its shape counts elements."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    chunks: Chunks

    @property
    def size(self) -> int:
        """Bytes in the file."""
        count = WIDTHS[self.dtype]
        for length in self.shape:
            count *= length
        return count


def write(
    path: Path, tensors: Sequence[Planned], label: str
) -> Generator[Progress, None, tuple[str, int]]:
    """Writes the tensors in their order; returns the file's SHA-256 in hex and size in bytes.

    Memory: one chunk at a time. Raises ValueError where chunks do not add up to the planned size.
    """
    head = _header(tensors)
    total = len(head) + sum(tensor.size for tensor in tensors)
    digest = hashlib.sha256(head)
    with path.open("wb") as file:
        file.write(head)
        for tensor in tensors:
            end = file.tell() + tensor.size
            for chunk in tensor.chunks():
                data = chunk.reshape(-1).view("u1").data
                digest.update(data)
                file.write(data)
                yield Progress(label, file.tell(), total)
            if file.tell() != end:
                raise ValueError(f"{tensor.name}: wrote up to byte {file.tell()}, planned {end}")
    return digest.hexdigest(), total


def _header(tensors: Sequence[Planned]) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for tensor in tensors:
        end = offset + tensor.size
        entries[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
