"""GGUF's blocks, against the package that reads them."""

from __future__ import annotations

import subprocess
import sys

import gguf
import numpy as np
import pytest

from gptcli.formats import ggml_blocks

every_form = pytest.mark.parametrize("form", ggml_blocks.SIZES)


@every_form
def test_numbers_are_the_packages(form):
    """Catches a nibble at another place, a sign, and sums or products rounded otherwise."""
    kind = gguf.GGMLQuantizationType[form]
    assert gguf.constants.GGML_QUANT_SIZES[kind] == (
        ggml_blocks.NUMBERS[form],
        ggml_blocks.SIZES[form],
    )
    # Any bytes: scales that are none, infinite, or too small for a float of two bytes among them.
    rows = np.random.default_rng(0).integers(0, 256, (64, 40 * ggml_blocks.SIZES[form]), np.uint8)
    with np.errstate(all="ignore"):
        wanted = gguf.quants.dequantize(rows, kind)
    found = ggml_blocks.dequantise(rows, form)
    assert found.dtype == np.float32 and (np.isnan(wanted).any() or form == "MXFP4")
    assert np.array_equal(found, wanted, equal_nan=True)
    numbers = ~np.isnan(wanted)
    assert np.array_equal(found.view(np.uint32)[numbers], wanted.view(np.uint32)[numbers])


@every_form
def test_what_is_not_for_writing_and_at_an_odd_place(form):
    """Catches a mapped file whose tensors begin anywhere."""
    size = ggml_blocks.SIZES[form]
    data = np.random.default_rng(1).integers(0, 100, 1 + 6 * size, np.uint8)
    rows = data[1:].reshape(3, 2 * size)
    rows.flags.writeable = False
    assert np.array_equal(
        ggml_blocks.dequantise(rows, form), ggml_blocks.dequantise(rows.copy(), form)
    )


@every_form
def test_names_say_the_form(form):
    """Catches a name that is written one way and read another."""
    name = ggml_blocks.stored_name("a.b.weight", form)
    assert ggml_blocks.form_of(name) == form and ggml_blocks.plain_name(name) == "a.b.weight"
    assert (
        ggml_blocks.form_of("a.b.weight") is None
        and ggml_blocks.form_of("a.weight_q8_0.weight") is None
    )


@pytest.mark.parametrize("shape", [(3, 33), (3,), (2, 3, 34), (0, 34), (3, 0)])
def test_shapes_that_no_blocks_have(shape):
    """Catches a row that ends within a block."""
    with pytest.raises(ValueError, match="not rows of blocks of 34 bytes"):
        ggml_blocks.shape("Q8_0", shape)
    assert ggml_blocks.shape("Q8_0", (3, 68)) == (3, 64)


def test_names_cost_no_numpy():
    """Catches `models list` waiting for an array library."""
    code = "import sys, gptcli.formats.ggml_blocks; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
