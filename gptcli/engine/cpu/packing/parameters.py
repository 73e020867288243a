"""A model's weights under the decoder's names, read by numpy when they are packed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.coded import CodedRows, kind_of, order_of
from gptcli.engine.cpu.packing.gguf_rows import GgufBytes, GgufNumbers
from gptcli.engine.cpu.packing.pack import GgmlBlocks, Parameter
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.packing.sections import sections, shapes
from gptcli.engine.describe import Described
from gptcli.engine.weights.matching import Placement, place, rule_of
from gptcli.engine.weights.quantised import method_for, mxfp4
from gptcli.engine.weights.quantised.coded import Coded
from gptcli.engine.weights.quantised.tensors import QuantisedTensors
from gptcli.formats import ggml_blocks
from gptcli.formats.bfloat16 import as_bfloat16, as_float32
from gptcli.formats.gguf.reading import Rows
from gptcli.formats.mapping import MappedFiles
from gptcli.formats.stored import StoredTensor

#: The kinds that keep what is stored so, in the words of the format.
_FLOATS = {"F32": Kind.FLOAT32, "F16": Kind.FLOAT16, "BF16": Kind.BFLOAT16}
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
        stored, self._files = described.stored, described.stored.tensors
        self._mapped = MappedFiles()
        self._packed: QuantisedTensors | None = None
        method = method_for(described.config, stored)
        if method is not None:
            self._packed = QuantisedTensors(stored, self._mapped, method, rule_of(rules))
            stored = replace(stored, tensors=self._packed.tensors)
        self._tensors = stored.tensors
        self._shapes = shapes(spec)
        # What packing rounds by itself; vectors and tables of positions are float32 when packed.
        self._short = {
            section.parameter
            for section in sections(spec, Kinds.all(Kind.BFLOAT16))
            if section.form == "matrix"
        }
        self._placements: dict[str, Placement] = {}
        self._members: dict[str, int] = {}
        for placement in place(stored, rules, self._shapes, spec.layers):
            for member, targets in enumerate(placement.layout.targets):
                self._placements |= dict.fromkeys(targets, placement)
                self._members |= dict.fromkeys(targets, member)
        self._last: tuple[Placement | None, dict[str, NDArray[Any]]] = None, {}

    def __getitem__(self, name: str) -> Parameter:
        weight = self._of_rows(name)
        if weight is not None:
            return self._coded(name, weight)
        rows = self._rows(name)
        if rows is not None:
            return self._taken(name, rows)
        array = self._read(name)
        exact = self.exact or self._placements[name].layout.rule.exact
        return array if exact or self._stored(name).kind == "BF16" else _rounded(array)

    def __contains__(self, name: object) -> bool:
        return name in self._placements  # to look one up is to read it

    def __iter__(self) -> Iterator[str]:
        return iter(self._placements)

    def __len__(self) -> int:
        return len(self._placements)

    def kind(self, name: str) -> Kind | None:
        """The kind of a matrix that keeps all of its numbers, None where there is none."""
        weight = self._of_rows(name)
        if weight is not None:
            return kind_of(weight)
        rows = self._rows(name)
        if rows is not None and rows.kind in ggml_blocks.SIZES:
            return Kind[rows.kind]
        stored = self._stored(name).kind if rows is None else rows.kind
        return None if self._weight(name) is not None else _FLOATS.get(stored)

    def dequantised(self, name: str) -> Kind:
        """What a matrix becomes whose numbers no kind keeps."""
        return Kind.FLOAT16 if self._stored(name).kind == "F16" else Kind.BFLOAT16

    def form(self, name: str) -> str:
        """What to call that in which a parameter is stored."""
        weight = self._weight(name)
        return self._stored(name).kind if weight is None else weight.name

    def order(self, name: str) -> NDArray[np.int32] | None:
        """In which order the columns of a matrix stand where it is kept, None for their own."""
        weight = self._of_rows(name)
        return None if weight is None else order_of(weight)

    def stored_bytes(self, name: str) -> int:
        """How long a matrix is as it is stored: its share of tensors that are several's."""
        placement = self._placements[name]
        size = sum(each.size for each in self._parts(placement))
        layout = placement.layout
        rows = {each: layout.part(each, self._shapes)[0] for row in layout.targets for each in row}
        return size * rows[name] // sum(rows.values())

    def _parts(self, placement: Placement) -> Iterator[StoredTensor]:
        """All tensors of the files that are read for it."""
        weights = self._packed.weights if self._packed else {}
        for stored in placement.stored:
            if stored.name in weights:
                yield from weights[stored.name].parts.values()
            else:
                yield self._files[stored.name]

    def _weight(self, name: str) -> Coded | None:
        """The weight in codes that a parameter is in, or the first of several; nothing is read."""
        placement, member = self._placements[name], self._members[name]
        if placement.layout.packed:
            arrays = [self._mapped.array(self._files[each.name]) for each in placement.stored]
            blocks, scales = (each[member] if placement.layout.stacked else each for each in arrays)
            return mxfp4.weight(placement.stored, blocks, scales)
        stored = placement.stored[0].name
        if self._packed is None or stored not in self._packed.weights:
            return None
        return self._packed.coded(stored)

    def _of_rows(self, name: str) -> Coded | None:
        """The same, None where rows of the parameter are no rows of it."""
        layout, stored = self._placements[name].layout, self._placements[name].stored[0].name
        if self._packed is not None and stored in self._packed.weights:
            turned = self._packed.weights[stored].transpose != layout.rule.transpose
            if turned or layout.gathered or layout.turned(name):
                return None
        return self._weight(name)

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
        if layout.gathered or layout.turned(name) or taken.turned != layout.rule.transpose:
            return None
        rows = self._mapped.rows(tensor)
        if rows.shape == self._shapes[name]:
            return rows
        member = self._members[name]
        places = rows.places.reshape(len(layout.targets), -1)[member]
        return replace(rows, places=places[layout.rows(self._shapes, member)[name]])

    def _taken(self, name: str, rows: Rows) -> Parameter:
        """A matrix of a GGUF file, of which some rows at a time are read while it is packed."""
        kind, file = rows.kind, self._stored(name)
        if kind in ggml_blocks.SIZES and (self.exact or name in self._short):
            return GgmlBlocks(GgufBytes(rows, file, self._mapped), Kind[kind])
        return GgufNumbers(rows, file, self._mapped, exact=self.exact)

    def _coded(self, name: str, weight: Coded) -> Parameter:
        """A matrix in codes, of which some rows at a time are read while it is packed."""
        placement = self._placements[name]
        rows = placement.layout.rows(self._shapes, self._members[name])[name]
        found = CodedRows(weight, rows, kind_of(weight), partial(self._release, placement))
        return found if self.exact or name in self._short else as_bfloat16(found[:])

    def _read(self, name: str) -> NDArray[Any]:
        """A parameter, cut from what is stored, which is kept for others that are in it too."""
        placement = self._placements[name]
        if self._last[0] is not placement:
            if self._last[0] is not None:
                self._release(self._last[0])
            arrays = [self._array(stored.name) for stored in placement.stored]
            self._last = placement, dict(placement.layout.cut(arrays, self._shapes))
        return self._last[1][name]

    def _array(self, name: str) -> NDArray[Any]:
        """A tensor as it is stored, or dequantised."""
        if self._packed is None or name not in self._packed.weights:
            return self._mapped.array(self._files[name])
        weight = self._packed.coded(name)
        found = weight.numbers(slice(0, weight.shape[0]))
        return found.T if self._packed.weights[name].transpose else found

    def _release(self, placement: Placement) -> None:
        """Give back the pages of its files that were read."""
        for file in {tensor.file for tensor in self._parts(placement)}:
            self._mapped.release(file)


def _rounded(array: NDArray[Any]) -> NDArray[np.uint16]:
    out = np.empty(array.shape, dtype=np.uint16)
    for start in range(0, len(array), _ROWS):
        rows = slice(start, start + _ROWS)
        out[rows] = as_bfloat16(as_float32(array[rows]))
    return out
