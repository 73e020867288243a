"""Matrices of a GGUF file as parameters, of which some rows are read at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.errors import ModelError
from gptcli.formats import ggml_blocks
from gptcli.formats.bfloat16 import as_bfloat16, as_float32
from gptcli.formats.gguf.reading import Rows
from gptcli.formats.mapping import MappedFiles
from gptcli.formats.stored import StoredTensor
from gptcli.plain import dataclass


@dataclass(frozen=True)
class GgufBytes:
    """See UnreadBytes. Raises ModelError for a scale that is not finite."""

    taken: Rows
    stored: StoredTensor
    mapped: MappedFiles

    @property
    def shape(self) -> tuple[int, int]:
        """See UnreadBytes."""
        source = self.taken.taken.sources[0]
        return self.taken.shape[0], (source.end - source.begin) // source.count

    def __getitem__(self, rows: slice) -> NDArray[np.uint8]:
        """See UnreadBytes. The pages of what was read before are given back."""
        self.mapped.release(self.stored.file)
        some = self.taken[rows]
        found = some.bytes()
        if not ggml_blocks.finite(found, some.kind):
            reason = f"tensor {self.stored.name} has a scale that is not a finite number"
            raise ModelError(str(self.stored.file), reason)
        return found


@dataclass(frozen=True)
class GgufNumbers:
    """See UnreadNumbers: what has no kind of its own, in bfloat16 where it is not `exact`."""

    taken: Rows
    stored: StoredTensor
    mapped: MappedFiles
    exact: bool

    @property
    def shape(self) -> tuple[int, int]:
        """See UnreadNumbers."""
        return self.taken.shape

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """See UnreadNumbers. The pages of what was read before are given back."""
        self.mapped.release(self.stored.file)
        some = self.taken[rows]
        found: NDArray[Any] = some.array()
        return found if self.exact or some.kind == "BF16" else as_bfloat16(as_float32(found))
