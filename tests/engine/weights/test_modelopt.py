"""NVIDIA's Model Optimizer: NVFP4 and float8, with their settings in either of two files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gptcli.backends.local.merging import merge
from gptcli.errors import ModelError
from gptcli.types.models import ModelDir
from tests.engine.weights import packed, wide
from tests.opening import load, plan

LAYER = "model.layers.0.self_attn.q_proj"
PACKERS = {
    "NVFP4": packed.nvfp4(),
    "FP8": packed.fp8(None, name="weight_scale"),
    "FP8_PER_CHANNEL_PER_TOKEN": packed.fp8((1, 0), name="weight_scale"),
}


def settings(directory: Path, **fields: Any) -> None:
    """hf_quant_config.json as the exporter writes it."""
    said = {"producer": {"name": "modelopt", "version": "0.39.0"}, "quantization": fields}
    (directory / "hf_quant_config.json").write_text(json.dumps(said))


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("algorithm", PACKERS)
def test_weights_mean_what_was_packed(tmp_path, algorithm, beside):
    """Catches a factor that divides, halves of a byte swapped, and settings that nobody reads."""
    config = {
        "quant_method": "modelopt",
        "quant_algo": algorithm,
        "producer": {"name": "modelopt"},
        "ignore": ["lm_head"],
        "kv_cache_scheme": {"num_bits": 8, "type": "float", "dynamic": False},
        "config_groups": {"group_0": {"targets": ["Linear"]}},
    }
    said = {} if beside else {"quantization_config": config}
    meaning = wide.make(tmp_path / "m", PACKERS[algorithm], said, dtype=torch.bfloat16)
    if beside:
        settings(
            tmp_path / "m",
            quant_algo=algorithm,
            kv_cache_quant_algo="FP8",
            exclude_modules=["lm_head", "model.layers.9*"],
        )
    packed.rewrite(tmp_path / "m", lambda t: t.update({f"{LAYER}.k_scale": torch.ones(1)}))
    wide.assert_same(tmp_path / "m", meaning, tmp_path / "plain")


def test_several_algorithms_in_one_model(tmp_path):
    """Catches a layer that is read in the form of another."""
    pack = {"self_attn": PACKERS["FP8"], "mlp": PACKERS["NVFP4"]}
    meaning = wide.make(tmp_path / "m", pack, {})
    layers = {LAYER: {"quant_algo": "FP8"}, "mlp": {"quant_algo": "NVFP4", "group_size": 16}}
    settings(tmp_path / "m", quant_algo="MIXED_PRECISION", quantized_layers=layers)
    wide.assert_same(tmp_path / "m", meaning, tmp_path / "plain")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"quant_algo": "NVFP4_AWQ"}, ("'quant_algo'", "NVFP4_AWQ", "FP8")),
        ({"quant_algo": None}, ("'quant_algo'", "unknown")),
        ({"quant_algo": "NVFP4", "group_size": 32}, ("'group_size'", "32")),
        ({"quant_algo": "NVFP4", "novelty": 1}, ("'novelty'",)),
        ({"quant_algo": "NVFP4", "exclude_modules": ["*" * 300]}, ("'exclude_modules'", "longer")),
        (
            {
                "quant_algo": "MIXED_PRECISION",
                "quantized_layers": {"a": {"quant_algo": "W8A16"}},
            },
            ("'quant_algo'", "W8A16"),
        ),
    ],
)
def test_settings_that_are_not_known(tmp_path, fields, words):
    """Catches what changes the numbers and is ignored."""
    wide.make(tmp_path / "m", None, {})
    settings(tmp_path / "m", **fields)
    (tmp_path / "m" / "model.safetensors").unlink()
    with pytest.raises(ModelError) as caught:
        plan(tmp_path / "m")
    assert all(word in str(caught.value) for word in words), caught.value


def test_excluded_modules_must_not_be_packed(tmp_path):
    """Catches a list of modules that nobody reads."""
    wide.make(tmp_path / "m", PACKERS["NVFP4"], {})
    settings(tmp_path / "m", quant_algo="NVFP4", exclude_modules=["model.layers.1.mlp*"])
    with pytest.raises(ModelError, match=r"layers.1.mlp.* is quantised, but config\.json says"):
        plan(tmp_path / "m")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(f"{LAYER}.weight_scale_2"), ("weight_scale_2", "missing")),
        (lambda t: t[f"{LAYER}.weight_scale_2"].fill_(torch.nan), ("no finite number",)),
        (lambda t: t.pop(f"{LAYER}.weight_scale"), ("weight_scale", "missing")),
        (lambda t: t.pop(f"{LAYER}.weight"), ("weight", "missing")),
        (lambda t: t.update({f"{LAYER}.weight": torch.ones(128, 64)}), ("uint8",)),
    ],
)
def test_weights_that_are_not_whole(tmp_path, change, words):
    """Catches a part that is missing, of another kind, or not a number, and is not named."""
    wide.make(tmp_path / "m", {"q_proj": PACKERS["NVFP4"]}, {})
    settings(tmp_path / "m", quant_algo="NVFP4")
    packed.rewrite(tmp_path / "m", change)
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "m", device="cpu", dtype="float32")
    assert all(word in str(caught.value) for word in (LAYER, *words)), caught.value


def test_merged_it_is_plain(tmp_path, drain):
    """Catches bytes of packed numbers that are written as weights, and settings that stay."""
    meaning = wide.make(tmp_path / "m", PACKERS["NVFP4"], {}, dtype=torch.bfloat16)
    settings(tmp_path / "m", quant_algo="NVFP4")
    drain(merge(ModelDir("m", tmp_path / "m", "m"), [], tmp_path / "out"))
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert {name: tensor.dtype for name, tensor in found.items()} == dict.fromkeys(
        meaning, torch.bfloat16
    )
    assert all(torch.equal(found[name], expected.bfloat16()) for name, expected in meaning.items())
    assert "quantization_config" not in (tmp_path / "out" / "config.json").read_text()
