"""MXFP4 against a slow reader of single bits, and against transformers."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from gptcli.engine.weights.dequantised import dequantised_mxfp4
from gptcli.engine.weights.placement import MXFP4_BLOCK as BLOCK
from gptcli.engine.weights.quantised.coded import E2M1
from gptcli.errors import ModelError
from tests.engine.helpers import copy_case
from tests.opening import load


def packed(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(len(shape))
    blocks = torch.randint(256, (*shape, 16), dtype=torch.uint8, generator=generator)
    scales = torch.randint(100, 140, shape, dtype=torch.uint8, generator=generator)
    return blocks, scales


def dequantise(blocks: torch.Tensor, scales: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Of any number of matrices, one after the other."""
    shape = (*blocks.shape[:-2], blocks.shape[-2] * BLOCK)
    each = blocks.view(-1, *blocks.shape[-3:]), scales.view(-1, *scales.shape[-2:])
    found = [dequantised_mxfp4((), dtype, *pair) for pair in zip(*each, strict=True)]
    return torch.stack(found).view(shape)


def bit_by_bit(byte: int, high: bool, scale: int) -> float:
    """A sign, two bits of exponent with bias 1, one bit of mantissa; no infinities, no NaN."""
    bits = byte >> 4 if high else byte & 15
    sign = -1.0 if bits & 8 else 1.0
    exponent, mantissa = bits >> 1 & 3, bits & 1
    number = mantissa * 0.5 if exponent == 0 else (1 + mantissa * 0.5) * 2.0 ** (exponent - 1)
    return float(sign * number * 2.0 ** (scale - 127))


def test_the_sixteen_values():
    """Catches a table with a value in another's place."""
    assert [bit_by_bit(bits, False, 127) for bits in range(16)] == E2M1.tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (2, 3, 4)])
def test_equals_bit_by_bit(shape, dtype):
    """Catches halves of a byte swapped, or a scale of the block next to it."""
    blocks, scales = packed(*shape)
    ours = dequantise(blocks, scales, dtype)
    assert ours.shape == (*shape[:-1], shape[-1] * BLOCK) and ours.dtype == dtype
    flat = [
        bit_by_bit(byte, high, scale)
        for row, scale in zip(blocks.view(-1, 16).tolist(), scales.flatten().tolist(), strict=True)
        for byte in row
        for high in (False, True)
    ]
    assert torch.equal(ours.flatten().double(), torch.tensor(flat, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_equals_transformers(dtype):
    """Catches another reading of the format than that of the published checkpoints' own code."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    blocks, scales = packed(2, 6, 3)
    theirs = convert_moe_packed_tensors(blocks, scales, dtype=dtype)
    assert torch.equal(dequantise(blocks, scales, dtype), theirs.transpose(1, 2))


GATE_UP = "model.layers.1.mlp.experts.gate_up_proj"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(f"{GATE_UP}_scales"), (f"{GATE_UP}_scales", "is missing")),
        (lambda t: t.pop(f"{GATE_UP}_blocks"), (f"{GATE_UP}_blocks", "is missing")),
        (
            lambda t: t.update({f"{GATE_UP}_scales": torch.zeros(2, 64, 2, dtype=torch.uint8)}),
            ("[2, 64, 2]", "[2, 64, 1]"),
        ),
        (
            lambda t: t.update({f"{GATE_UP}_blocks": torch.zeros(2, 64, 1, 16)}),
            (f"{GATE_UP}_blocks", "U8"),
        ),
        (
            lambda t: t.update({GATE_UP: torch.zeros(2, 32, 64)}),
            (f"{GATE_UP}_blocks", "not part of a model"),
        ),
    ],
)
def test_packed_tensors_that_do_not_fit(tmp_path, change, words):
    """Catches half of a pair, a pair that belongs to another shape, and both forms at once."""
    directory = copy_case("gpt_oss/mxfp4", tmp_path / "m")
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    (directory / "model.safetensors").unlink()
    save_file(tensors, directory / "model.safetensors")
    with pytest.raises(ModelError) as caught:
        load(directory, device="cpu")
    assert all(word in str(caught.value) for word in words), caught.value
