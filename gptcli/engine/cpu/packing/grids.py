"""Floats that were blocks before: which blocks give them back as they are.

So it is with models that were trained for blocks, or that somebody has dequantised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.binding.library import Library
from gptcli.engine.cpu.packing.pack import Parameter
from gptcli.engine.cpu.packing.quantise import SEARCHED, quantise
from gptcli.engine.cpu.packing.section import Kinds, Section
from gptcli.engine.cpu.packing.sections import sections
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import ggml_blocks
from gptcli.formats.bfloat16 import as_float32

#: So many rows of a matrix are looked at.
_ROWS = 16
#: The mean square of what may be left, in parts of that of the numbers: that of rounding to
#: bfloat16, some times. Blocks of 8 bits leave twice as much of other numbers.
_LEFT = 8e-6
#: A model whose first layer has none of these is on no grid.
_FIRST = ("attention.query", "mixer.value", "mlp.down")

#: Matrices whose grids are remembered at the most, and the letter of one that is on none.
_MOST, _NONE = 2000, "."


def grids(
    parameters: Mapping[str, Parameter], spec: ModelSpec, library: Library
) -> dict[str, Kind]:
    """For sections of matrices, by name, the smallest kind that gives a sample of rows back."""
    matrices = dict(_matrices(spec))
    tried = (f"layers.0.{name}.weight" for name in _FIRST)
    first = [_grid(parameters, matrices[name], library) for name in tried if name in matrices]
    if not any(first):
        return {}
    found = {name: _grid(parameters, section, library) for name, section in matrices.items()}
    return {name: kind for name, kind in found.items() if kind is not None}


def as_text(found: Mapping[str, Kind], spec: ModelSpec) -> str | None:
    """Grids in a few letters, None where they are too many."""
    if not found:
        return ""
    names = [name for name, _ in _matrices(spec)]
    kinds = [found.get(name) for name in names]
    return None if len(names) > _MOST else "".join(_NONE if k is None else f"{k:x}" for k in kinds)


def from_text(text: str, spec: ModelSpec) -> dict[str, Kind] | None:
    """The grids of such a text, None for one that is of another model."""
    names = [name for name, _ in _matrices(spec)]
    if text and len(text) != len(names):
        return None
    try:
        return {n: Kind(int(k, 16)) for n, k in zip(names, text, strict=False) if k != _NONE}
    except ValueError:
        return None


def _matrices(spec: ModelSpec) -> Iterator[tuple[str, Section]]:
    for section in sections(spec, Kinds.all(Kind.Q8_0)):
        if section.form == "matrix":
            yield section.name, section


def _grid(parameters: Mapping[str, Parameter], section: Section, library: Library) -> Kind | None:
    step = max(1, section.rows // _ROWS)
    parameter = parameters[section.parameter]
    rows = [as_float32(parameter[at : at + 1]) for at in range(0, section.rows, step)][:_ROWS]
    sample = np.concatenate(rows)
    size = float(np.einsum("rc,rc->", sample, sample, dtype=np.float64))
    if not 0 < size < np.inf:
        return None
    whole = [each for each in SEARCHED if section.columns % ggml_blocks.NUMBERS[each.name] == 0]
    for kind in sorted(whole, key=_bits):
        try:
            left = quantise(sample, kind, library).errors.sum()
        except ValueError:  # packing says why
            return None
        if left <= _LEFT * size:
            return kind
    return None


def _bits(kind: Kind) -> float:
    return ggml_blocks.SIZES[kind.name] / ggml_blocks.NUMBERS[kind.name]
