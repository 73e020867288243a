"""A model directory's weights under the decoder's names, read by numpy when they are packed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding.abi import Form, Kind
from gptcli.engine.cpu.packing.pack import GgmlBlocks, Parameter, as_float32
from gptcli.engine.cpu.packing.sections import Kinds, sections, shapes
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import family_of
from gptcli.engine.model.rules import Rule
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.model.stored_blocks import keeps_blocks
from gptcli.engine.weights.matching import Placement, place, rule_of
from gptcli.errors import ModelError
from gptcli.formats import ggml_blocks as blocks
from gptcli.formats.bfloat16 import as_bfloat16
from gptcli.formats.safetensors.mapping import Mapped, MappedFiles

#: Rows that are converted at a time: a large matrix is never held twice in float32.
_ROWS = 4096


class Parameters(Mapping[str, Parameter]):
    """The decoder's parameters; each is read, and its pages given back, as it is asked for.

    They come as they are stored, but floats that are not `exact` in bfloat16, as torch rounds them.
    """

    def __init__(self, directory: Path, spec: ModelSpec, *, exact: bool = False) -> None:
        """Raises ModelError for weights that are not as config.json says, all headers read."""
        self.exact = exact
        config = ConfigFields.read(directory)
        self._files = MappedFiles(directory)
        rules = family_of(config).rules(spec)
        if keeps_blocks(config):
            self._files.tensors = _unblocked(self._files.tensors, rule_of(rules))
        self._shapes = shapes(spec)
        # What packing rounds by itself; vectors and tables of positions are float32 when packed.
        self._short = {
            name
            for section in sections(spec, Kinds.all(Kind.BFLOAT16))
            if section.kind is Kind.BFLOAT16
            for name in section.parts
        }
        self._placements: dict[str, Placement] = {}
        for placement in place(self._files, rules, self._shapes, spec.layers):
            if placement.stored[0].kind in blocks.SIZES:
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
        if kind in blocks.SIZES:
            kept = GgmlBlocks(array, Form[kind])
            return kept if self.exact or name in self._short else as_bfloat16(kept[:])
        return array if self.exact or kind == "BF16" else _rounded(array)

    def __iter__(self) -> Iterator[str]:
        return iter(self._placements)

    def __len__(self) -> int:
        return len(self._placements)

    def kind(self, name: str) -> str:
        """What a parameter is stored as, in the words of the format, or of ggml for blocks."""
        return self._tensor(self._placements[name].stored[0].name).kind

    def _tensor(self, name: str) -> Mapped:
        return self._files.tensors[name]

    def _read(self, placement: Placement) -> None:
        """Cut what is stored; the pages of what was read before are given back."""
        if self._last[0] is not None:
            for file in {stored.file for stored in self._last[0].stored}:
                self._files.release(file)
        arrays = [self._tensor(stored.name).array for stored in placement.stored]
        self._last = placement, dict(placement.layout.cut(arrays, self._shapes))


def _unblocked(
    tensors: Mapping[str, Mapped], rule_of: Callable[[str], Rule | None]
) -> dict[str, Mapped]:
    """Tensors of blocks under the names, and with the shapes, of what they stand for."""
    found: dict[str, Mapped] = {}
    for tensor in tensors.values():
        name, form = tensor.name, blocks.form_of(tensor.name)
        if form is not None:
            name = blocks.plain_name(name)
            rule = rule_of(name)
            tensor = _described(tensor, name, form, turned=rule is not None and rule.transpose)
        if name in found:
            raise ModelError(str(tensor.file), f"{name} is stored twice, plain and quantised")
        found[name] = tensor
    return found


def _described(tensor: Mapped, name: str, form: str, *, turned: bool) -> Mapped:
    if tensor.kind != "U8":
        raise ModelError(str(tensor.file), f"tensor {tensor.name} is not of dtype uint8")
    shape = blocks.shape_in(tensor.file, tensor.name, form, tensor.shape)
    return replace(tensor, name=name, kind=form, shape=shape[::-1] if turned else shape)


def _rounded(array: NDArray[Any]) -> NDArray[np.uint16]:
    out = np.empty(array.shape, dtype=np.uint16)
    for start in range(0, len(array), _ROWS):
        rows = slice(start, start + _ROWS)
        out[rows] = as_bfloat16(as_float32(array[rows]))
    return out
