"""Weights of 8 and 4 bits by torch's kernels, which a CPU has too, against what they stand for."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from gptcli.engine.torch import packed
from gptcli.engine.torch.packed import FEW, KINDS
from gptcli.engine.torch.runner import TorchRunner
from gptcli.errors import UsageError
from gptcli.types.models import AdapterRef
from tests.engine.helpers import GOLDENS
from tests.engine.torch.recording import Recording
from tests.opening import load, open_runner

CPU = torch.device("cpu")


def made(name: str, dtype: torch.dtype, weight: torch.Tensor, bias: torch.Tensor | None = None):
    rows, columns = weight.shape
    layer = nn.Linear(columns, rows, bias=bias is not None)
    if bias is not None:
        layer.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
    found = KINDS[name](layer, dtype, CPU)
    codes, scales = KINDS[name].packed(weight, dtype)
    state = {"weight": codes, "scales": scales}
    found.load_state_dict(state | ({} if bias is None else {"bias": layer.bias}), assign=True)
    return found


def meant(name: str, weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """The obvious way: codes as numbers, times their scales."""
    if name == "int8":
        codes, scales = KINDS[name].packed(weight, dtype)
        return codes.float() * scales.float()[:, None]
    groups = weight.unflatten(1, (-1, packed.GROUP))
    _, both = KINDS[name].packed(weight, dtype)
    scales, middles = both.float().transpose(0, 1).unbind(-1)
    codes = ((groups - middles[..., None]) / scales[..., None]).round().clamp(-8, 7)
    return (codes * scales[..., None] + middles[..., None]).flatten(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", KINDS)
def test_a_packed_product_is_that_of_what_its_weights_stand_for(name, dtype):
    """Catches codes in another order than the kernel's, scales of another row, a bias left out, and
    a prompt that takes another way than a token."""
    random = torch.Generator().manual_seed(3)
    weight = torch.randn(96, 64, generator=random)
    weight[5] = 0
    bias = torch.randn(96, generator=random)
    layer = made(name, dtype, weight, bias)
    stands = meant(name, weight, dtype)
    torch.testing.assert_close(layer.widened().float(), stands, rtol=0.01, atol=1e-6)
    step = weight.abs().amax() / (127 if name == "int8" else 7)
    assert (stands - weight).abs().max() < step
    for count in (1, FEW, FEW + 3):
        x = torch.randn(2, count, 64, generator=random).to(dtype)
        expected = x.float() @ stands.T + bias
        eps = torch.finfo(dtype).eps
        torch.testing.assert_close(layer(x).float(), expected, rtol=0, atol=100 * eps)
        assert layer(x).dtype == dtype


@pytest.mark.parametrize("name", KINDS)
def test_a_packed_model_is_near_the_one_it_was_made_of(name, tmp_path):
    """Catches a layer that is packed twice, not at all or as another, and facts of the other."""
    place = wide(tmp_path)
    exact = load(place, device="cpu", dtype="float32")
    some = load(place, device="cpu", dtype=name)
    row = [3, 7, 1, 9, 4, 2]
    expected = exact.all_logits(row, exact.new_state())
    found = some.all_logits(row, some.new_state())
    error = (found - expected).square().mean().sqrt() / expected.std()
    assert 0 < error < (0.03 if name == "int8" else 0.3)
    assert some.facts.dtype == name
    assert some.facts.activations == some.facts.kv_dtype == "float32"
    assert some.facts.weight_bytes < exact.facts.weight_bytes * (0.6 if name == "int8" else 0.5)
    assert dict(some.shapes()) == dict(exact.shapes())
    at = "layers.0.mlp.up.weight"
    ours, theirs = some.weights(at, range(3)), exact.weights(at, range(3))
    assert ours.shape == theirs.shape and 0 < (ours - theirs).abs().max() < 0.1
    # And a step of it can be recorded.
    recording = Recording()
    fixed = TorchRunner(some.decoder, capture=recording)
    state = fixed.new_state()
    steps = torch.cat([fixed.decode([token], state) for token in row])
    torch.testing.assert_close(steps, found, rtol=0, atol=1e-3)
    assert recording.made


def wide(place):
    """A small llama whose matrices have whole groups."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(place)
    return place


def test_what_has_no_kernel_is_refused_by_name(monkeypatch, tmp_path):
    """Catches a dtype that becomes another where the device lacks it."""
    place = GOLDENS / "llama/tied"
    monkeypatch.setattr(packed, "_OPS", {"int8": ("_weight_int8pack_mm",) * 2, "int4": ("no",) * 2})
    with pytest.raises(UsageError, match="--dtype: int4 is not available on cpu"):
        load(place, device="cpu", dtype="int4")
    (tmp_path / "adapter_config.json").write_text(json.dumps({}))
    adapters = (AdapterRef(tmp_path),)
    with pytest.raises(UsageError, match="int8 needs the CPU kernels"):
        open_runner(place, device="cpu", dtype="int8", adapter=adapters)
