"""Quantised checkpoints: what is read is what was packed, bit by bit, and the logits are those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gptcli.engine.weights.quantised import packing
from gptcli.errors import ModelError
from tests.engine.helpers import copy_case, rows_of
from tests.engine.weights import packed
from tests.opening import load, plan

TOLERANCE = 3e-5
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 8, "desc_act": False, "sym": False}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 8, "zero_point": True, "version": "GEMM"}
FP8: dict[str, Any] = {"quant_method": "fp8", "activation_scheme": "dynamic", "fmt": "e4m3"}

CASES: dict[str, tuple[packed.Pack, dict[str, Any] | None]] = {
    "gptq": (packed.gptq(4, 8, sym=False), GPTQ),
    "gptq-sym": (packed.gptq(4, 8, sym=True), GPTQ | {"sym": True, "checkpoint_format": "gptq"}),
    "gptq-8-bits": (packed.gptq(8, 8, sym=False), GPTQ | {"bits": 8}),
    "gptq-one-group": (packed.gptq(4, -1, sym=False), GPTQ | {"group_size": -1}),
    "gptq-order": (packed.gptq(4, 8, sym=False, order=True), GPTQ | {"desc_act": True}),
    "gptq-v2": (packed.gptq(4, 8, sym=False, version=2), GPTQ | {"checkpoint_format": "gptq_v2"}),
    "awq": (packed.awq(8), AWQ | {"modules_to_not_convert": ["lm_head"]}),
    "awq-8-bits": (packed.awq(8, bits=8), AWQ | {"bits": 8}),
    "awq-one-group": (packed.awq(-1), AWQ | {"group_size": -1}),
    "awq-symmetric": (packed.awq(8, zero_point=False), AWQ | {"zero_point": False}),
    "fp8-blocks": (packed.fp8((16, 16)), FP8 | {"weight_block_size": [16, 16]}),
    "fp8-tensor": (packed.fp8(None, name="weight_scale"), FP8),
    "fp8-rows": (packed.fp8((1, 0), name="weight_scale"), {"quant_method": "fbgemm_fp8"}),
    "fp8-unsaid": (packed.fp8((128, 128)), None),
}


def whole_logits(directory: Path, case: str) -> torch.Tensor:
    runner = load(directory, device="cpu", dtype="float32")
    return torch.stack([runner.all_logits(row, runner.new_state()) for row in rows_of(case)])


def assert_same_model(directory: Path, meaning: packed.Tensors, case: str, tmp_path: Path) -> None:
    """The weights are exactly `meaning`, and the logits those of a plain checkpoint of it."""
    source = plan(directory).source
    for stored, expected in meaning.items():
        # A head that stands elsewhere has the name that the rules have for it.
        name = stored if stored in source.tensors else stored.removeprefix("language_model.")
        found = source.read(name)
        assert found.shape == expected.shape == source.tensors[name].shape, name
        assert found.dtype == expected.dtype == source.tensors[name].dtype, name
        assert torch.equal(found, expected), name
    plain = packed.plain(case, tmp_path / "plain", meaning)
    ours, theirs = whole_logits(directory, case), whole_logits(plain, case)
    assert (ours - theirs).abs().max().item() <= TOLERANCE


@pytest.mark.parametrize("case", ["llama/untied", "llama/biases"])
@pytest.mark.parametrize("form", CASES)
def test_packed_weights_mean_what_was_packed(tmp_path, form, case):
    """Catches any slip in a layout: an order of bits, an axis, an off-by-one in a zero point."""
    pack, config = CASES[form]
    meaning = packed.quantise(case, tmp_path / "m", pack, config)
    changed = [
        n
        for n, t in load_file(copy_case(case, tmp_path / "c") / "model.safetensors").items()
        if not torch.equal(t, meaning[n].float())
    ]
    assert len(changed) == 14, "the packing must change what it packs, or it shows nothing"
    assert_same_model(tmp_path / "m", meaning, case, tmp_path)


@pytest.mark.parametrize("form", ["gptq-order", "gptq-8-bits", "awq", "fp8-blocks"])
def test_large_weights_are_read_in_slices(tmp_path, monkeypatch, form):
    """Catches rows left out, or scaled as others, where a matrix is more than one slice."""
    monkeypatch.setattr(packing, "_CHUNK", 300)
    pack, config = CASES[form]
    meaning = packed.quantise("llama/biases", tmp_path / "m", pack, config)
    assert len(list(packing.slices(24, 40, 8))) == 3
    assert_same_model(tmp_path / "m", meaning, "llama/biases", tmp_path)


@pytest.mark.parametrize("form", ["gptq", "gptq-order", "awq"])
def test_fused_and_transposed_weights(tmp_path, form):
    """Catches a Conv1D's weight, which families expect as (in, out), turned the wrong way."""
    pack, config = CASES[form]
    meaning = packed.quantise("gpt2/tied", tmp_path / "m", pack, config, transposed=True)
    assert_same_model(tmp_path / "m", meaning, "gpt2/tied", tmp_path)


def test_awq_means_what_compressed_tensors_makes_of_it():
    """Catches our packer and our reader making the same mistake: this one is not ours."""
    converters = pytest.importorskip("compressed_tensors.entrypoints.convert.converters")
    weight = torch.randn(40, 24, generator=torch.Generator().manual_seed(1))
    parts, meaning = packed.awq(8)(weight)
    converter = converters.AutoAWQConverter(bits=4, group_size=8)
    numbers, scales, zeros = converter._convert_gemm_module(
        parts["qweight"], parts["scales"], parts["qzeros"]
    )
    theirs = (numbers.half() - zeros.half().repeat_interleave(8, 1)) * scales.repeat_interleave(
        8, 1
    )
    assert torch.equal(theirs, meaning)


def test_fp8_blocks_mean_what_transformers_makes_of_them():
    """Catches our packer and our reader making the same mistake: this one is not ours."""
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    weight = torch.randn(32, 48, generator=torch.Generator().manual_seed(2))
    parts, meaning = packed.fp8((16, 16))(weight)
    theirs = Fp8Dequantize(None)._dequantize_one(parts["weight"], parts["weight_scale_inv"])
    assert torch.equal(theirs, meaning)


def test_zeros_as_a_bias_are_none(tmp_path):
    """Catches refusing what older tools wrote: a bias of zeros for layers that have none."""
    pack, config = CASES["gptq"]
    meaning = packed.quantise("llama/untied", tmp_path / "m", pack, config)
    name = "model.layers.0.mlp.up_proj.bias"
    packed.rewrite(tmp_path / "m", lambda t: t.update({name: torch.zeros(40)}))
    assert_same_model(tmp_path / "m", meaning, "llama/untied", tmp_path)
    packed.rewrite(tmp_path / "m", lambda t: t.update({name: torch.ones(40)}))
    with pytest.raises(ModelError, match=f"{name} is not part"):
        plan(tmp_path / "m")


def test_a_missing_g_idx_is_the_plain_order(tmp_path):
    """Catches asking for a tensor that says nothing in most checkpoints."""
    pack, config = CASES["gptq"]
    meaning = packed.quantise("llama/untied", tmp_path / "m", pack, config)

    def drop(tensors: packed.Tensors) -> None:
        for name in [name for name in tensors if name.endswith("g_idx")]:
            del tensors[name]

    packed.rewrite(tmp_path / "m", drop)
    assert_same_model(tmp_path / "m", meaning, "llama/untied", tmp_path)


def test_what_is_not_packed_chooses_the_dtype(tmp_path):
    """Catches float16 as the dtype of a bfloat16 model, since GPTQ's scales are float16."""
    pack, config = CASES["gptq"]
    packed.quantise("llama/untied", tmp_path / "m", pack, config)
    packed.rewrite(
        tmp_path / "m",
        lambda t: t.update({n: x.bfloat16() for n, x in t.items() if x.dtype == torch.float32}),
    )
    assert plan(tmp_path / "m").source.dtype == torch.bfloat16
