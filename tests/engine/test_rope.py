"""Rotary positions against transformers', with the numbers of published models."""

from __future__ import annotations

import pytest
import torch

from gptcli.engine.rope import angles, inverse_frequencies, rotate
from gptcli.engine.spec import LinearScaling, Llama3Scaling, Rope

CPU = torch.device("cpu")
LLAMA31 = Llama3Scaling(8.0, 1.0, 4.0, 8192)
LLAMA32 = Llama3Scaling(32.0, 1.0, 4.0, 8192)


@pytest.mark.parametrize(
    ("theta", "dim", "scaling", "kind", "fields"),
    [
        (500000.0, 128, LLAMA31, "llama3", {"factor": 8.0}),
        (500000.0, 64, LLAMA32, "llama3", {"factor": 32.0}),
        (10000.0, 128, LinearScaling(4.0), "linear", {"factor": 4.0}),
    ],
)
def test_frequencies_equal_transformers(theta, dim, scaling, kind, fields):
    """Catches wrong borders between frequencies kept, blended and slowed."""
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    parameters = {"rope_type": kind, "rope_theta": theta, **fields}
    if kind == "llama3":
        parameters |= {
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        }
    config = LlamaConfig(
        hidden_size=dim,
        num_attention_heads=1,
        head_dim=dim,
        max_position_embeddings=131072,
        rope_parameters=parameters,
    )
    expected, factor = ROPE_INIT_FUNCTIONS[kind](config, CPU)
    assert factor == 1.0
    ours = inverse_frequencies(Rope(theta, dim, scaling), CPU, 131072)
    torch.testing.assert_close(ours, expected, rtol=2e-7, atol=0)
    if kind == "llama3":
        plain = inverse_frequencies(Rope(theta, dim), CPU, 131072)
        slowed = (plain / ours).round(decimals=4)
        assert {1.0, fields["factor"]} < set(slowed.tolist())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_angles_are_made_in_float32(dtype):
    """Catches positions or angles in a half type, which cannot tell position 4095 from 4096."""
    frequencies = inverse_frequencies(Rope(10000.0, 64), CPU, 131072)
    positions = torch.tensor([0, 1, 257, 4095, 131071])
    exact = positions.double()[:, None] * frequencies.double()
    # float32 rounds an angle of up to 131071 by up to half of 2**-7.
    spare = 2.0**-8 + torch.finfo(dtype).eps
    for ours, expected in zip(
        angles(frequencies, positions, dtype), (exact.cos(), exact.sin()), strict=True
    ):
        assert ours.dtype == dtype and ours.shape == (1, 1, 5, 32)
        error = (ours[0, 0].double() - expected).abs()
        assert error.max() < spare
        assert error[:4].max() < 2.0**-13 + torch.finfo(dtype).eps


def test_angles_of_ragged_rows():
    """Catches rows of a batch that share one position."""
    frequencies = inverse_frequencies(Rope(10000.0, 8), CPU, 131072)
    cos, sin = angles(frequencies, torch.tensor([[3, 4], [0, 1]]), torch.float32)
    assert cos.shape == sin.shape == (2, 1, 2, 4)
    for row, start in enumerate((3, 0)):
        alone = angles(frequencies, torch.tensor([start, start + 1]), torch.float32)
        assert torch.equal(cos[row], alone[0][0]) and torch.equal(sin[row], alone[1][0])


def test_rotation_keeps_lengths_and_depends_on_distance_only():
    """Catches features paired with the wrong partner, and a part rotated that should be left."""
    generator = torch.Generator().manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 12, generator=generator, dtype=torch.float64)
    frequencies = inverse_frequencies(Rope(100.0, 8), CPU, 131072).double()

    def turned(x: torch.Tensor, at: int) -> torch.Tensor:
        angle = at * frequencies
        return rotate(x, angle.cos(), angle.sin())

    for x in (q, k):
        assert torch.equal(turned(x, 5)[..., 8:], x[..., 8:])
        torch.testing.assert_close(turned(x, 5).norm(), x.norm(), rtol=1e-12, atol=0)
    near, far = (turned(q, at + 3) @ turned(k, at).mT for at in (2, 40))
    torch.testing.assert_close(near, far, rtol=1e-12, atol=1e-12)
    other = turned(q, 2) @ turned(k, 5).mT
    assert (near - other).abs() > 1e-3
