"""Tensors on disk: what is stored, by name, and reading it as views of the mapped files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from gptcli.formats import ggml_blocks
from gptcli.formats.mapping import MappedFiles
from gptcli.formats.stored import StoredFiles

#: The dtypes that weights are computed in, by the names that the format has for them.
FLOATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_KINDS = FLOATS | {
    "F8_E4M3": torch.float8_e4m3fn,
    "I8": torch.int8,
    "I32": torch.int32,
    "I64": torch.int64,
    "U8": torch.uint8,
}
_WORDS = {dtype: word for word, dtype in _KINDS.items()}


@dataclass(frozen=True)
class SourceTensor:
    """A tensor before it is read: where it is, its shape, and the dtype that it is read as.

    dtype: None for one that we cannot use.
    """

    name: str
    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype | None

    @property
    def kind(self) -> str | None:
        """The format's word for the dtype."""
        return None if self.dtype is None else _WORDS[self.dtype]


class TensorSource(Protocol):
    """Tensors by the names that families know them by, however they are kept.

    A file's tensors are one kind; weights that are packed, or that an adapter is added to, are
    others. All is known of a tensor before it is read.
    """

    @property
    def place(self) -> Path:
        """The model's directory or GGUF file, for errors."""
        ...

    @property
    def tensors(self) -> Mapping[str, SourceTensor]:
        """All there are, by name."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that most of the weights have; masks, packed weights and the like are none."""
        ...

    def read(self, name: str) -> Tensor:
        """The tensor, with the shape and the dtype that `tensors` says."""
        ...


class Checkpoint:
    """The tensors of files, by stored name: views of the mapped files, copied when written to.

    mapped: the same for numpy.
    """

    def __init__(self, stored: StoredFiles) -> None:
        self.stored = stored
        self.mapped = MappedFiles(private=True)
        # Other kinds are refused later: only tensors that are used matter.
        self.tensors: dict[str, SourceTensor] = {
            name: SourceTensor(name, tensor.file, tensor.shape, _dtype(tensor.kind))
            for name, tensor in stored.tensors.items()
        }

    @property
    def place(self) -> Path:
        """See TensorSource."""
        return self.stored.place

    @property
    def dtype(self) -> torch.dtype:
        """See TensorSource. What was rounded to blocks of a few bits is bfloat16."""
        if self.stored.in_blocks:
            return torch.bfloat16
        return main_dtype(self.tensors.values())

    def read(self, name: str) -> Tensor:
        """The tensor. KeyError for one of a kind that has no use here; raises as MappedFiles."""
        tensor = self.stored.tensors[name]
        if tensor.taken is not None:
            numbers = torch.from_numpy(self.mapped.array(tensor))
            return numbers.view(torch.bfloat16) if tensor.kind == "BF16" else numbers
        bits = torch.from_numpy(self.mapped.bytes(tensor))
        return bits.view(_KINDS[tensor.kind]).view(tensor.shape)


def _dtype(kind: str) -> torch.dtype | None:
    """Blocks of ggml's are read as the numbers that they stand for, exact in float32."""
    return torch.float32 if ggml_blocks.are_blocks(kind) else _KINDS.get(kind)


def main_dtype(tensors: Iterable[SourceTensor]) -> torch.dtype:
    """The float dtype that most of the numbers have; float32 where there are none."""
    counts = dict.fromkeys(FLOATS.values(), 0)
    for stored in tensors:
        if stored.dtype in counts:
            counts[stored.dtype] += torch.Size(stored.shape).numel()
    return max(counts, key=lambda dtype: counts[dtype])
