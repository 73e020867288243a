"""A model's weights under the decoder's names, read by numpy when they are packed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.pack import GgmlBlocks, Parameter, as_float32
from gptcli.engine.cpu.packing.sections import Kinds, sections, shapes
from gptcli.engine.describe import Described
from gptcli.engine.model.rules import Rule
from gptcli.engine.model.stored_blocks import keeps_ggml_blocks
from gptcli.engine.weights.matching import Placement, place, rule_of
from gptcli.errors import ModelError
from gptcli.formats import ggml_blocks
from gptcli.formats.bfloat16 import as_bfloat16
from gptcli.formats.safetensors.header import StoredTensor
from gptcli.formats.safetensors.mapping import MappedFiles
from gptcli.formats.safetensors.stored import StoredFiles

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
        stored = described.stored
        if keeps_ggml_blocks(described.config):
            stored = _unblocked(stored, rule_of(rules))
        self._tensors, self._stored = stored.tensors, described.stored.tensors
        self._mapped = MappedFiles()
        self._shapes = shapes(spec)
        # What packing rounds by itself; vectors and tables of positions are float32 when packed.
        self._short = {
            section.parameter
            for section in sections(spec, Kinds.all(Kind.BFLOAT16))
            if section.form == "matrix"
        }
        self._placements: dict[str, Placement] = {}
        for placement in place(stored, rules, self._shapes, spec.layers):
            if placement.stored[0].kind in ggml_blocks.SIZES:
                # Rows of blocks are outputs, however the family stores plain weights.
                rule = replace(placement.layout.rule, transpose=False)
                placement = Placement(replace(placement.layout, rule=rule), placement.stored)
            for targets in placement.layout.targets:
                self._placements |= dict.fromkeys(targets, placement)
        self._last: tuple[Placement | None, dict[str, NDArray[Any]]] = None, {}

    def __getitem__(self, name: str) -> Parameter:
        placement = self._placements[name]
        if self._last[0] is not placement:
            self._read(placement)
        array, kind = self._last[1][name], self.kind(name)
        if kind in ggml_blocks.SIZES:
            kept = GgmlBlocks(array, Kind[kind])
            return kept if self.exact or name in self._short else as_bfloat16(kept[:])
        return array if self.exact or kind == "BF16" else _rounded(array)

    def __iter__(self) -> Iterator[str]:
        return iter(self._placements)

    def __len__(self) -> int:
        return len(self._placements)

    def kind(self, name: str) -> str:
        """What a parameter is stored as, in the words of the format, or of ggml for blocks."""
        return self._tensors[self._placements[name].stored[0].name].kind

    def _read(self, placement: Placement) -> None:
        """Cut what is stored; the pages of what was read before are given back."""
        if self._last[0] is not None:
            for file in {stored.file for stored in self._last[0].stored}:
                self._mapped.release(file)
        arrays = [self._array(self._tensors[stored.name]) for stored in placement.stored]
        self._last = placement, dict(placement.layout.cut(arrays, self._shapes))

    def _array(self, tensor: StoredTensor) -> NDArray[Any]:
        """The tensor as it is stored, which for blocks are rows of bytes."""
        name = tensor.name
        if tensor.kind in ggml_blocks.SIZES:
            name = ggml_blocks.stored_name(name, tensor.kind)
        return self._mapped.array(self._stored[name])


def _unblocked(stored: StoredFiles, rule_of: Callable[[str], Rule | None]) -> StoredFiles:
    """Tensors of blocks under the names, and with the kinds and shapes, of what they stand for."""
    found: dict[str, StoredTensor] = {}
    for tensor in stored.tensors.values():
        name, form = tensor.name, ggml_blocks.form_of(tensor.name)
        if form is not None:
            name = ggml_blocks.plain_name(name)
            rule = rule_of(name)
            tensor = _meant(tensor, name, form, turned=rule is not None and rule.transpose)
        if name in found:
            raise ModelError(str(tensor.file), f"{name} is stored twice, plain and quantised")
        found[name] = tensor
    return replace(stored, tensors=found)


def _meant(tensor: StoredTensor, name: str, form: str, *, turned: bool) -> StoredTensor:
    if tensor.kind != "U8":
        raise ModelError(str(tensor.file), f"tensor {tensor.name} is not of dtype uint8")
    shape = ggml_blocks.shape_in(tensor.file, tensor.name, form, tensor.shape)
    return replace(tensor, name=name, kind=form, shape=shape[::-1] if turned else shape)


def _rounded(array: NDArray[Any]) -> NDArray[np.uint16]:
    out = np.empty(array.shape, dtype=np.uint16)
    for start in range(0, len(array), _ROWS):
        rows = slice(start, start + _ROWS)
        out[rows] = as_bfloat16(as_float32(array[rows]))
    return out
