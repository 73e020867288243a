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


def test_words_for_blocks():
    """Catches a type of ggml's taken for a dtype of safetensors, and the other way round."""
    plain = {"F64", "F32", "F16", "BF16", "I8", "I16", "I32", "I64"}
    every = {kind.name for kind in gguf.GGMLQuantizationType}
    assert {kind for kind in every if not ggml_blocks.are_blocks(kind)} == plain
    assert not any(map(ggml_blocks.are_blocks, ("U8", "BOOL", "F8_E4M3", "F4", "C64")))


@pytest.mark.parametrize("form", [form for form, at in ggml_blocks._HALVES.items() if at])
@pytest.mark.parametrize("bits", [0x7C00, 0xFC00, 0x7E00, 0x7C01])
def test_scales_that_are_no_numbers(form, bits):
    """Catches a float16 within a block that is not looked at."""
    size = ggml_blocks.SIZES[form]
    rows = np.full((3, 4 * size), 0xFF, np.uint8)
    halves = ggml_blocks._HALVES[form]
    blocks = rows.reshape(-1, size)
    for at in halves:
        blocks[:, at : at + 2] = np.array([0x7BFF], "<u2").view(np.uint8)
    assert ggml_blocks.finite(rows, form) and ggml_blocks._HALVES.keys() == ggml_blocks.SIZES.keys()
    assert np.isfinite(ggml_blocks.dequantise(rows, form)).all()
    for at in halves:
        broken = rows.copy()
        broken.reshape(-1, size)[7, at : at + 2] = np.array([bits], "<u2").view(np.uint8)
        assert not ggml_blocks.finite(broken, form)


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
