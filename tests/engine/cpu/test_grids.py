"""Floats that were blocks before."""

from __future__ import annotations

from dataclasses import replace

import gguf
import numpy as np
import pytest

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing.grids import as_text, from_text, grids
from gptcli.engine.cpu.packing.quantise import SEARCHED, quantise
from gptcli.formats.bfloat16 import as_bfloat16
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.cpu.small import SPEC, small_parameters

pytestmark = needs_kernels
#: Rows of both are whole blocks of 256.
WHOLE = replace(SPEC, width=256, hidden=512, vocab=97)


def read(numbers: np.ndarray, kind: Kind) -> np.ndarray:
    """As blocks give them back."""
    rows = quantise(numbers, kind, open_library()).rows
    return gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[kind.name])


@pytest.mark.parametrize("kind", SEARCHED, ids=lambda kind: kind.name)
@pytest.mark.parametrize("short", [False, True], ids=["float32", "bfloat16"])
def test_a_grid_is_seen(kind, short):
    """Catches a grid that is missed, or taken for one of more bits."""
    given = small_parameters(WHOLE)
    on = ["layers.0.attention.query.weight", "layers.1.mlp.gate.weight"]
    for name in on:
        numbers = read(given[name], kind)
        given[name] = as_bfloat16(numbers) if short else numbers
    assert grids(given, WHOLE, open_library()) == dict.fromkeys(on, kind)


def test_other_numbers_are_on_none():
    """Catches ordinary weights that are taken for blocks, and all of a model read for nothing."""
    given = small_parameters(WHOLE)
    # Not of the first layer's.
    given["layers.1.mlp.up.weight"] = read(given["layers.1.mlp.up.weight"], Kind.Q4_K)
    assert grids(given, WHOLE, open_library()) == {}
    given["layers.0.mlp.down.weight"][:] = 0
    given["layers.0.attention.query.weight"][:] = np.nan
    assert grids(given, WHOLE, open_library()) == {}
    assert grids(small_parameters(), SPEC, open_library()) == {}


def test_grids_are_remembered():
    """Catches a start that reads the weights for what is known, or knows it of another model."""
    found = {"layers.0.attention.query.weight": Kind.Q5_K, "embedding.weight": Kind.IQ4_NL}
    text = as_text(found, WHOLE)
    assert text is not None and from_text(text, WHOLE) == found
    assert as_text({}, WHOLE) == "" and from_text("", WHOLE) == {}
    many = replace(WHOLE, each_layer=WHOLE.each_layer * 300)
    assert as_text(found, many) is None
    assert from_text(text + ".", WHOLE) is None and from_text("x" * len(text), WHOLE) is None
