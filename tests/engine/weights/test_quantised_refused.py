"""Quantised checkpoints that are not whole, and features that are refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gptcli.errors import ModelError
from tests.engine.helpers import copy_case
from tests.engine.weights import packed
from tests.engine.weights.test_quantised import AWQ, CASES, FP8, GPTQ
from tests.opening import load, plan

INT4 = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 8}


def compressed(
    weights: dict[str, Any] | None = None, group: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {
            "group_0": {"targets": ["Linear"], "weights": INT4 | (weights or {})} | (group or {})
        },
    } | fields


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (GPTQ | {"bits": 3}, ("'bits'", "3", "4 and 8")),
        (GPTQ | {"bits": 2}, ("'bits'", "2")),
        (GPTQ | {"bits": None}, ("'bits'", "missing")),
        (GPTQ | {"group_size": 0}, ("'group_size'", "0")),
        (GPTQ | {"group_size": -2}, ("'group_size'", "-2")),
        (GPTQ | {"checkpoint_format": "marlin"}, ("'checkpoint_format'", "marlin", "gptq_v2")),
        (GPTQ | {"format": "exllama"}, ("'format'", "exllama")),
        (GPTQ | {"is_marlin_format": True}, ("'is_marlin_format'", "true")),
        (GPTQ | {"dynamic": {"-:lm_head": {}}}, ("'dynamic'",)),
        (GPTQ | {"pack_dtype": "int16"}, ("'pack_dtype'", "int16")),
        (GPTQ | {"novelty": 1}, ("'novelty'", "does not know")),
        (AWQ | {"version": "gemv"}, ("'version'", "gemv", "gemm")),
        (AWQ | {"version": "marlin"}, ("'version'", "marlin")),
        (AWQ | {"format": "llm-awq"}, ("'format'", "llm-awq")),
        (AWQ | {"bits": 3}, ("'bits'", "3", "4 and 8")),
        (AWQ | {"modules_to_not_convert": "lm_head", "zero_point": 3}, ("'zero_point'",)),
        (AWQ | {"modules_to_not_convert": 3}, ("'modules_to_not_convert'", "list")),
        (FP8 | {"fmt": "e5m2"}, ("'fmt'", "e5m2")),
        (FP8 | {"weight_block_size": [128]}, ("'weight_block_size'", "[128]")),
        (FP8 | {"weight_block_size": [0, 128]}, ("'weight_block_size'", "0")),
        (FP8 | {"expert_dtype": "fp4"}, ("'expert_dtype'", "fp4")),
        (FP8 | {"scale_fmt": "log"}, ("'scale_fmt'", "log")),
        (FP8 | {"kv_cache_scheme": "fp8"}, ("'kv_cache_scheme'", "fp8")),
        (compressed({"num_bits": 3}), ("'num_bits'", "3")),
        (compressed({"actorder": "block"}), ("'actorder'", "block")),
        (compressed({"strategy": "tensor_group"}), ("'strategy'", "tensor_group")),
        (compressed({"dynamic": True}), ("'dynamic'",)),
        (compressed({"type": "float", "num_bits": 8}), ("'type'", "pack-quantized")),
        (compressed({"group_size": None}), ("'group_size'", "missing")),
        (compressed(format="nvfp4-pack-quantized"), ("'type'", "int", "nvfp4")),
        (compressed(format="marlin-24"), ("'format'", "marlin-24")),
        (compressed(format=None), ("'format'", "dense")),
        (compressed(kv_cache_scheme={"num_bits": 8}), ("'kv_cache_scheme'",)),
        (compressed(quantization_status="calibration"), ("'quantization_status'", "calibration")),
        (
            compressed(sparsity_config={"format": "sparse-24-bitmask"}),
            ("sparsity_config", "sparse-24-bitmask"),
        ),
        (compressed(transform_config={"config_groups": {"R1": {}}}), ("'transform_config'",)),
        (compressed(config_groups={}), ("'config_groups'", "missing")),
        (compressed(group={"output_activations": {"num_bits": 8}}), ("'output_activations'",)),
        (compressed(group={"weights": None}), ("'weights'", "missing")),
        (compressed(ignore=["re:(a)\\1"]), ("'ignore'", "not supported")),
        (compressed(ignore=["re:(a"]), ("'ignore'", "broken")),
        (compressed(ignore=["re:" + "a" * 3000]), ("'ignore'", "too long")),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, ("bitsandbytes", "gptq")),
        ({"quant_method": "quanto"}, ("quanto", "gptq")),
        ({"quant_method": "mxfp4", "novelty": 2}, ("'novelty'",)),
    ],
)
def test_configs_are_refused_before_any_weights_are_opened(tmp_path, config, words):
    """Catches a feature that is ignored, or found out only after gigabytes were read."""
    copy_case("llama/untied", tmp_path / "m", lambda c: c.update({"quantization_config": config}))
    # Not even there: the config alone must be enough.
    (tmp_path / "m" / "model.safetensors").unlink()
    with pytest.raises(ModelError) as caught:
        plan(tmp_path / "m")
    line = str(caught.value)
    assert "config.json: quantization_config" in line and "\n" not in line and len(line) < 400
    for word in words:
        assert word in line


Q, DOWN = "model.layers.1.self_attn.q_proj", "model.layers.0.mlp.down_proj"


FINITE = (Q, "holds what is no finite number")


def int32(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.int32)


@pytest.mark.parametrize(
    ("form", "change", "words"),
    [
        ("gptq", lambda t: t.pop(f"{Q}.scales"), (f"{Q}.scales", "missing")),
        ("gptq", lambda t: t.pop(f"{Q}.qzeros"), (f"{Q}.qzeros", "missing")),
        ("gptq", lambda t: t.pop(f"{Q}.qweight"), (f"{Q}.weight", "missing")),
        ("gptq", lambda t: t.update({f"{Q}.extra": int32(1)}), (f"{Q}.extra", "not part")),
        ("gptq", lambda t: t.update({f"{Q}.weight": int32(24, 24)}), (f"{Q}.weight", "twice")),
        ("gptq", lambda t: t.update({f"{Q}.qzeros": int32(2, 3)}), (f"{Q}.qzeros", "[3, 3]")),
        ("gptq", lambda t: t.update({f"{Q}.qweight": int32(4, 24)}), (f"{Q}.", "shape")),
        ("gptq", lambda t: t.update({f"{Q}.qweight": int32(3)}), (f"{Q}.qweight", "no matrix")),
        ("gptq", lambda t: t.update({f"{Q}.scales": int32(3, 24)}), (f"{Q}.scales", "float16")),
        ("gptq", lambda t: t.update({f"{Q}.g_idx": int32(23)}), (f"{Q}.g_idx", "[24]")),
        ("gptq", lambda t: t.update({f"{Q}.g_idx": int32(24) + 3}), (f"{Q}.g_idx", "not there")),
        ("gptq", lambda t: t.update({f"{Q}.g_idx": int32(24) - 1}), (f"{Q}.g_idx", "not there")),
        ("awq", lambda t: t.pop(f"{DOWN}.qzeros"), (f"{DOWN}.qzeros", "missing")),
        ("awq", lambda t: t.update({f"{DOWN}.g_idx": int32(40)}), (f"{DOWN}.g_idx", "not part")),
        (
            "awq",
            lambda t: t.update({f"{Q}.qweight": int32(23, 3)}),
            (Q, "23 inputs", "groups of 8"),
        ),
        ("awq-symmetric", lambda t: t.update({f"{Q}.qzeros": int32(3, 3)}), (Q, "zero_point")),
        ("fp8-blocks", lambda t: t.pop(f"{Q}.weight_scale_inv"), (f"{Q}.weight_scale", "missing")),
        ("fp8-blocks", lambda t: t.pop(f"{Q}.weight"), (f"{Q}.weight_scale_inv", "no weight")),
        (
            "fp8-blocks",
            lambda t: t.update({f"{Q}.weight_scale": torch.ones(2, 2)}),
            (f"{Q}.weight_scale_inv", "only one"),
        ),
        (
            "fp8-blocks",
            lambda t: t.update({f"{Q}.weight_scale_inv": torch.ones(3, 2)}),
            (f"{Q}.weight_scale_inv", "[3, 2]", "[24, 24]"),
        ),
        (
            "fp8-blocks",
            lambda t: t.update({f"{Q}.weight_scale_inv": torch.ones(2, 2, dtype=torch.uint8)}),
            (f"{Q}.weight_scale_inv", "float32"),
        ),
        ("fp8-blocks", lambda t: t.update({f"{Q}.k_scale": torch.ones(1)}), (f"{Q}.k_scale",)),
        ("gptq", lambda t: t[f"{Q}.scales"].view(-1)[7:8].fill_(torch.inf), FINITE),
        ("awq", lambda t: t[f"{Q}.scales"].view(-1)[7:8].fill_(torch.nan), FINITE),
        ("fp8-blocks", lambda t: t[f"{Q}.weight_scale_inv"][1].fill_(-torch.inf), FINITE),
        ("fp8-rows", lambda t: t[f"{Q}.weight"].view(torch.uint8)[3, 5:6].fill_(0xFF), FINITE),
    ],
)
def test_packed_weights_that_are_not_whole(tmp_path, form, change, words):
    """Catches a partner that is missing, left over, or of another shape, and is not named."""
    pack, config = CASES[form]
    packed.quantise("llama/untied", tmp_path / "m", pack, config)
    packed.rewrite(tmp_path / "m", change)
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "m", device="cpu", dtype="float32")
    line = str(caught.value)
    assert str(tmp_path / "m") in line and "\n" not in line and len(line) < 500
    for word in words:
        assert word in line


@pytest.mark.parametrize("form", ["awq", "fp8-blocks"])
@pytest.mark.parametrize("name", [Q, "self_attn.q_proj", "model.layers.1"])
def test_modules_that_must_not_be_packed(tmp_path: Path, form, name):
    """Catches a list of modules that nobody reads."""
    pack, config = CASES[form]
    packed.quantise("llama/untied", tmp_path / "m", pack, config)
    packed.reconfigure(tmp_path / "m", lambda c: c.update({"modules_to_not_convert": [name]}))
    with pytest.raises(ModelError, match=r"is quantised, but config\.json says that it is not"):
        plan(tmp_path / "m")
    packed.reconfigure(tmp_path / "m", lambda c: c.update({"modules_to_not_convert": ["q_pro"]}))
    plan(tmp_path / "m")
