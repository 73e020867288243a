"""Safetensors on disk: what is stored, by name, and reading it as views of the mapped files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gptcli.errors import ModelError, ResourceError
from gptcli.formats.safetensors import shards

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
class Stored:
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


class Source(Protocol):
    """Tensors by the names that families know them by, however they are kept.

    A file's tensors are one kind; weights that are packed, or that an adapter is added to, are
    others. All is known of a tensor before it is read.
    """

    @property
    def directory(self) -> Path:
        """The model's directory, for errors."""
        ...

    @property
    def tensors(self) -> Mapping[str, Stored]:
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
    """All tensors of a model directory, by stored name. Opening reads the headers only."""

    def __init__(
        self, directory: Path, files: Iterable[tuple[Path, set[str]]] | None = None
    ) -> None:
        """`files` are the safetensors files and what must be in each; None looks for them."""
        self.directory = directory
        self._files: dict[Path, Any] = {}
        self.tensors: dict[str, Stored] = {}
        for file, expected in _files(directory) if files is None else files:
            self._open(file, expected)

    @property
    def dtype(self) -> torch.dtype:
        """See Source."""
        return main_dtype(self.tensors.values())

    @property
    def elements(self) -> int:
        """How many numbers, or bytes or words of packed ones, are stored in all."""
        return sum(torch.Size(stored.shape).numel() for stored in self.tensors.values())

    def read(self, name: str) -> Tensor:
        """The tensor, as a view of the mapped file."""
        stored = self.tensors[name]
        try:
            tensor: Tensor = self._files[stored.file].get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise ModelError(str(stored.file), f"{name} cannot be read: {error}") from None
        return tensor

    def _open(self, file: Path, expected: set[str]) -> None:
        try:
            opened = safe_open(file, framework="pt")
        except FileNotFoundError:
            raise ModelError(str(file), "is missing") from None
        except MemoryError:
            raise ResourceError(str(file), "does not fit into the address space") from None
        except (SafetensorError, OSError) as error:
            raise ModelError(str(file), f"is not a whole safetensors file: {error}") from None
        self._files[file] = opened
        names = set(opened.keys())
        for name in sorted(expected - names):
            raise ModelError(str(file), f"lacks {name}, which the index says it holds")
        for name in sorted(names):
            if name in self.tensors:
                other = self.tensors[name].file.name
                raise ModelError(str(file), f"{name} is stored twice (also in {other})")
            part = opened.get_slice(name)
            kind = part.get_dtype()
            # Other kinds are refused later: only tensors that are used matter.
            self.tensors[name] = Stored(name, file, tuple(part.get_shape()), _KINDS.get(kind))


def main_dtype(tensors: Iterable[Stored]) -> torch.dtype:
    """The float dtype that most of the numbers have; float32 where there are none."""
    counts = dict.fromkeys(FLOATS.values(), 0)
    for stored in tensors:
        if stored.dtype in counts:
            counts[stored.dtype] += torch.Size(stored.shape).numel()
    return max(counts, key=lambda dtype: counts[dtype])


def _files(directory: Path) -> Iterator[tuple[Path, set[str]]]:
    """The safetensors files, and what an index says is in each (nothing where there is none)."""
    expected: dict[str, set[str]] = {}
    if not (directory / shards.WEIGHTS).is_file() and (directory / shards.INDEX).is_file():
        for name, shard in shards.weight_map(directory / shards.INDEX).items():
            expected.setdefault(shard, set()).add(name)
    for file in shards.files(directory):
        yield file, expected.get(file.name, set())
