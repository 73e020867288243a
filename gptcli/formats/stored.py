"""Tensors that a model's files hold, before any of them is read, whatever the files' format."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from gptcli.formats import ggml_blocks
from gptcli.formats.gguf.taken import Taken
from gptcli.plain import dataclass


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as a file has it.

    kind: the word for its dtype that safetensors has, or ggml's for blocks (see `ggml_blocks`);
    shape: in numbers; its bytes are [begin, end) of `file`. taken: how it is made of tensors of
    GGUF files, of the first of which those bytes are then.
    """

    name: str
    file: Path
    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int
    taken: Taken | None = None

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes of the files that it takes."""
        return self.end - self.begin if self.taken is None else self.taken.size


@dataclass(frozen=True)
class StoredFiles:
    """The tensors of a directory by name, whichever of its files they are in.

    stamp: what the system said of the files before their headers were read, see `identity`.
    further: how many tensors of a GGUF file guess more than the next token, and their bytes; they
    are none of those here.
    """

    directory: Path
    files: tuple[Path, ...]
    tensors: Mapping[str, StoredTensor]
    stamp: str = ""
    further: tuple[int, int] = (0, 0)

    @property
    def place(self) -> Path:
        """What a user knows them by: the GGUF file that they are in, or the directory."""
        return self.files[0] if self.in_gguf else self.directory

    @property
    def in_gguf(self) -> bool:
        """Whether they are taken from GGUF files."""
        return any(tensor.taken is not None for tensor in self.tensors.values())

    @property
    def in_blocks(self) -> bool:
        """Whether some are in ggml's blocks of numbers that share a scale."""
        return any(ggml_blocks.are_blocks(tensor.kind) for tensor in self.tensors.values())

    @property
    def elements(self) -> int:
        """How many numbers, or bytes or words of packed ones, are stored in all."""
        return sum(tensor.elements for tensor in self.tensors.values())
