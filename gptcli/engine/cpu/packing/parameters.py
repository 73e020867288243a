"""A model's weights under the decoder's names, read by numpy when they are packed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.pack import GgmlBlocks, Parameter, as_float32
from gptcli.engine.cpu.packing.sections import Kinds, sections, shapes
from gptcli.engine.describe import Described
from gptcli.engine.weights.matching import Placement, place
from gptcli.errors import ModelError
from gptcli.formats import ggml_blocks
from gptcli.formats.bfloat16 import as_bfloat16
from gptcli.formats.gguf.reading import Rows
from gptcli.formats.mapping import MappedFiles
from gptcli.formats.stored import StoredTensor

#: Rows that are converted at a time: a large matrix is never held twice in float32.
_ROWS = 4096


class Parameters(Mapping[str, Parameter]):
    """The decoder's parameters; each is read, and its pages given back, as it is asked for.

    They come as they are stored, but floats that are not `exact` in bfloat16, as torch rounds them.
    """

    def __init__(self, described: Described, *, exact: bool = False) -> None:
        """Raises ModelError for weights that are not as config.json says; none is read yet."""
        self.exact = exact
        spec, rules = described.spec, described.family.rules(described.spec)
        self._tensors = described.stored.tensors
        self._mapped = MappedFiles()
        self._shapes = shapes(spec)
        # What packing rounds by itself; vectors and tables of positions are float32 when packed.
        self._short = {
            section.parameter
            for section in sections(spec, Kinds.all(Kind.BFLOAT16))
            if section.form == "matrix"
        }
        self._placements: dict[str, Placement] = {}
        for placement in place(described.stored, rules, self._shapes, spec.layers):
            for targets in placement.layout.targets:
                self._placements |= dict.fromkeys(targets, placement)
        self._last: tuple[Placement | None, dict[str, NDArray[Any]]] = None, {}

    def __getitem__(self, name: str) -> Parameter:
        rows = self._rows(name)
        if rows is not None:
            return self._taken(name, rows)
        array = self._read(name)
        return array if self.exact or self.kind(name) == "BF16" else _rounded(array)

    def __iter__(self) -> Iterator[str]:
        return iter(self._placements)

    def __len__(self) -> int:
        return len(self._placements)

    def kind(self, name: str) -> str:
        """What a parameter is stored as, in the words of the format, or of ggml for blocks."""
        rows = self._rows(name)
        return self._stored(name).kind if rows is None else rows.kind

    def _stored(self, name: str) -> StoredTensor:
        """The tensor that a parameter is in, or the first of several."""
        return self._tensors[self._placements[name].stored[0].name]

    def _rows(self, name: str) -> Rows | None:
        """The rows of a matrix that is in a GGUF file, unread; None for anything else.

        They are outputs, however a family stores its weights: what is turned there is not here.
        """
        tensor, layout = self._stored(name), self._placements[name].layout
        taken = tensor.taken
        if taken is None or len(self._shapes[name]) != 2 or taken.columns != self._shapes[name][1]:
            return None
        if layout.gathered or taken.turned != layout.rule.transpose:
            return None
        rows = self._mapped.rows(tensor)
        if rows.shape == self._shapes[name]:
            return rows
        members = len(layout.targets) if layout.stacked else 1
        places = rows.places.reshape(members, -1)
        cut = layout.cut([places if layout.stacked else places[0]], self._shapes)
        return replace(rows, places=next(found for target, found in cut if target == name))

    def _taken(self, name: str, rows: Rows) -> Parameter:
        """A matrix of a GGUF file, of which some rows at a time are read while it is packed."""
        kind, file = rows.kind, self._stored(name)
        if kind in ggml_blocks.SIZES and (self.exact or name in self._short):
            return GgmlBlocks(_Blocks(rows, file, self._mapped), Kind[kind])
        return _Numbers(rows, file, self._mapped, exact=self.exact)

    def _read(self, name: str) -> NDArray[Any]:
        """A parameter, cut from what is stored, which is kept for others that are in it too."""
        placement = self._placements[name]
        if self._last[0] is not placement:
            tensors = [self._tensors[stored.name] for stored in placement.stored]
            self._let_go(tensors[0])
            arrays = [self._mapped.array(tensor) for tensor in tensors]
            self._last = placement, dict(placement.layout.cut(arrays, self._shapes))
        return self._last[1][name]

    def _let_go(self, tensor: StoredTensor) -> None:
        """Give back the pages of what was read before."""
        self._mapped.release(tensor.file)


@dataclass(frozen=True)
class _Blocks:
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
class _Numbers:
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


def _rounded(array: NDArray[Any]) -> NDArray[np.uint16]:
    out = np.empty(array.shape, dtype=np.uint16)
    for start in range(0, len(array), _ROWS):
        rows = slice(start, start + _ROWS)
        out[rows] = as_bfloat16(as_float32(array[rows]))
    return out
