"""Rotary positions against transformers', with the numbers of published models."""

from __future__ import annotations

import pytest
import torch

from gptcli.engine.model import rope_fields
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.rotations import LinearScaling, Llama3Scaling, Rope
from gptcli.engine.torch.rope import amplitude, angles, inverse_frequencies, rotate
from gptcli.errors import ModelError

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


def test_interleaved_rotation_is_the_other_pairing():
    """Catches neighbours rotated in another direction, or put back in another order."""
    x = torch.randn(1, 2, 3, 12, generator=torch.Generator().manual_seed(0))
    cos, sin = angles(inverse_frequencies(Rope(100.0, 8), CPU, 48), torch.arange(3), x.dtype)
    order = [0, 4, 1, 5, 2, 6, 3, 7]  # feature j of the halves is feature order[j] of neighbours
    apart = x[..., [*order, 8, 9, 10, 11]]
    turned = rotate(apart, cos, sin, True)
    assert torch.equal(turned[..., [0, 2, 4, 6, 1, 3, 5, 7]], rotate(x, cos, sin)[..., :8])
    assert torch.equal(turned[..., 8:], x[..., 8:])


GPT_OSS = {
    "rope_type": "yarn",
    "factor": 32.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "truncate": False,
    "original_max_position_embeddings": 4096,
}
QWEN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
DEEPSEEK = QWEN | {"factor": 40.0, "mscale": 0.707, "mscale_all_dim": 1.0}
LONG = {
    "rope_type": "longrope",
    "short_factor": [1 + i / 64 for i in range(32)],
    "long_factor": [1 + i for i in range(32)],
    "original_max_position_embeddings": 4096,
}


@pytest.mark.parametrize(
    ("fields", "theta", "stated", "lengths"),
    [
        (GPT_OSS, 150000.0, 131072, (131072,)),
        (QWEN, 1000000.0, 131072, (131072,)),
        (QWEN | {"attention_factor": 1.25}, 10000.0, 131072, (131072,)),
        (DEEPSEEK, 10000.0, 131072, (131072,)),
        (QWEN | {"beta_fast": 8, "beta_slow": 2}, 10000.0, 32768, (131072,)),
        (LONG, 10000.0, 131072, (1, 4096, 4097, 131072)),
        (LONG | {"attention_factor": 1.3}, 10000.0, 131072, (4096,)),
        ({"rope_type": "dynamic", "factor": 3.0}, 10000.0, 2048, (1, 2048, 2049, 6144)),
    ],
)
def test_scalings_equal_transformers(fields, theta, stated, lengths):
    """Catches a wrong ramp, a wrong sharpening, and the wrong side of the border of lengths."""
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    parameters = fields | {"rope_theta": theta}
    config = LlamaConfig(
        hidden_size=128,
        num_attention_heads=2,
        head_dim=64,
        max_position_embeddings=stated,
        rope_parameters=dict(parameters),
    )
    read = ConfigFields(
        "config.json", {"rope_parameters": parameters, "max_position_embeddings": stated}
    )
    ours = rope_fields.rope(read, 64)
    for length in lengths:
        function = ROPE_INIT_FUNCTIONS[str(fields["rope_type"])]
        expected, factor = function(config, CPU, seq_len=length)
        found = inverse_frequencies(ours, CPU, length)
        torch.testing.assert_close(found, expected, rtol=3e-7, atol=0)
        assert amplitude(ours) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 1000),
        ({"rope_scaling": {"type": "linear", "factor": 4.0}}, 1000),
        ({"rope_scaling": {"type": "dynamic", "factor": 4.0}}, 4000),
        ({"rope_parameters": QWEN | {"original_max_position_embeddings": 500}}, 2000),
        ({"rope_parameters": QWEN | {"original_max_position_embeddings": 100}}, 1000),
        ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, 2000),
    ],
)
def test_scaling_makes_the_context_longer(fields, expected):
    """Catches a model that is refused the length it was scaled for."""
    config = ConfigFields("config.json", {"max_position_embeddings": 1000, **fields})
    assert rope_fields.context(config) == expected


@pytest.mark.parametrize("form", ["flat", "nested", "by kind"])
def test_every_place_of_the_fields(form):
    """Catches reading only one of the places where configs keep the same thing."""
    scaling = {"rope_type": "linear", "factor": 2.0}
    fields = {
        "flat": {
            "rope_theta": 500.0,
            "partial_rotary_factor": 0.5,
            "rope_scaling": {"type": "linear", "factor": 2.0},
        },
        "nested": {
            "rope_parameters": scaling | {"rope_theta": 500.0, "partial_rotary_factor": 0.5}
        },
        "by kind": {
            "partial_rotary_factor": 0.5,
            "rope_parameters": {
                "full_attention": scaling | {"rope_theta": 500.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 7.0},
            },
        },
    }[form]
    config = ConfigFields("config.json", fields)
    found = rope_fields.rope(config, 16, theta=1.0, kind="full_attention")
    assert found == Rope(500.0, 8, LinearScaling(2.0))


def test_ropes_by_kind_where_the_family_has_one():
    """Catches the fields of two ropes taken for one that says nothing."""
    config = ConfigFields("config.json", {"rope_parameters": {"full_attention": {}}})
    with pytest.raises(ModelError, match="full_attention"):
        rope_fields.rope(config, 16)
