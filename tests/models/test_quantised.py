"""What `models show` and `verify` say of quantised models, from their headers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from gptcli import models
from gptcli.errors import ModelError
from gptcli.models import quantised_facts as quantised
from gptcli.types.models import ModelDir
from tests.opening import facts_of

GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128}
INT4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}
FP8 = {"num_bits": 8, "type": "float", "strategy": "channel"}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (GPTQ, "gptq 4 bits, groups of 128"),
        (GPTQ | {"bits": 8, "group_size": -1}, "gptq 8 bits"),
        ({"quant_method": "awq", "bits": 4, "group_size": 64}, "awq 4 bits, groups of 64"),
        (
            {"quant_method": "fp8", "weight_block_size": [128, 128]},
            "fp8 in blocks of 128 × 128",
        ),
        ({"quant_method": "fbgemm_fp8"}, "fbgemm_fp8"),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"a": {"weights": INT4}, "b": {"weights": FP8}},
            },
            "compressed-tensors 4 bits, groups of 32; float8",
        ),
        ({"group_size": 64, "bits": 6}, "mlx 6 bits, groups of 64"),
        ({"group_size": 32, "bits": 4, "mode": "mxfp4"}, "mlx mxfp4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "modelopt NVFP4"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
        ({"quant_method": "gptq", "bits": [4], "config_groups": [], "group_size": {}}, "gptq"),
    ],
)
def test_in_words(config, words):
    """Catches a summary of another method, and a traceback for a config that makes no sense."""
    assert quantised.summary({"quantization_config": config}) == words
    assert quantised.summary({}) is None


def save(directory: Path, config: dict[str, Any], tensors: dict[str, np.ndarray]) -> ModelDir:
    settings = json.loads((directory / "config.json").read_text())
    settings["quantization_config"] = config
    (directory / "config.json").write_text(json.dumps(settings))
    (directory / "model.safetensors").unlink()
    save_file(tensors, directory / "model.safetensors")
    return ModelDir("mine", directory, str(directory))


def gptq() -> dict[str, np.ndarray]:
    return {
        "a.qweight": np.zeros((2, 8), np.int32),
        "a.qzeros": np.zeros((1, 1), np.int32),
        "a.scales": np.zeros((1, 8), np.float16),
        "a.g_idx": np.zeros(16, np.int32),
        "norm.weight": np.zeros(8, np.float16),
    }


def packed() -> dict[str, np.ndarray]:
    return {
        "a.weight_packed": np.zeros((8, 2), np.int32),
        "a.weight_scale": np.zeros((8, 1), np.float16),
        "a.weight_shape": np.array([8, 16]),
        "norm.weight": np.zeros(8, np.float16),
    }


def floats() -> dict[str, np.ndarray]:
    """Four bits each, as NVIDIA's Model Optimizer has them."""
    return {
        "a.weight": np.zeros((8, 8), np.uint8),
        "a.weight_scale": np.zeros((8, 1), np.uint8),
        "a.weight_scale_2": np.zeros((), np.float32),
        "a.input_scale": np.zeros((), np.float32),
        "norm.weight": np.zeros(8, np.float16),
    }


def mlx(bits: int) -> dict[str, np.ndarray]:
    return {
        "a.weight": np.zeros((4, bits), np.uint32),
        "a.scales": np.zeros((4, 1), np.float16),
        "a.biases": np.zeros((4, 1), np.float16),
        "norm.weight": np.zeros(8, np.float16),
    }


@pytest.mark.parametrize(
    ("config", "tensors"),
    [
        (GPTQ, gptq()),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, floats()),
        ({"group_size": 32, "bits": 5}, mlx(5)),
        ({"group_size": 32, "bits": 4, "a": {"bits": 6}}, mlx(6)),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": INT4}}},
            packed(),
        ),
    ],
)
def test_parameters_are_those_of_the_weights(model_dir, config, tensors):
    """Catches words, scales and zero points counted as if each were a parameter."""
    model = save(model_dir, config, tensors)
    assert facts_of(model).parameters == 8 * 16 + 8


@pytest.mark.parametrize(
    ("tensors", "missing"),
    [
        (gptq(), "a.scales"),
        (packed(), "a.weight_scale"),
        (packed(), "a.weight_shape"),
        (floats(), "a.weight_scale"),
        (floats(), "a.weight_scale_2"),
        (mlx(4), "a.scales"),
    ],
)
def test_a_missing_part_is_found(model_dir, drain, tensors, missing):
    """Catches a download that lacks what a weight cannot be read without."""
    assert drain(models.verify(save(model_dir, GPTQ, tensors))).ok
    del tensors[missing]
    verdict = drain(models.verify(save(model_dir, GPTQ, tensors)))
    problems = [check.problem for check in verdict.checks if check.problem]
    assert len(problems) == 1 and missing in problems[0]


def test_float8_without_a_scale_is_found(model_dir, drain):
    """Catches float8 numbers that stand for nothing by themselves."""
    import torch
    from safetensors.torch import save_file as save_torch

    model = save(model_dir, {"quant_method": "fp8"}, gptq())
    file = model_dir / "model.safetensors"
    weight = torch.zeros(4, 4).to(torch.float8_e4m3fn)
    for scales, ok in (({}, False), ({"b.weight_scale_inv": torch.ones(1, 1)}, True)):
        file.unlink()
        save_torch({"b.weight": weight, **scales}, file)
        assert drain(models.verify(model)).ok is ok


@pytest.mark.parametrize("shape", [np.zeros(3, np.int64), np.zeros(2, np.float32)])
def test_a_shape_that_is_none(model_dir, shape):
    """Catches bytes unpacked as what they are not."""
    config = {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": INT4}}}
    model = save(model_dir, config, packed() | {"a.weight_shape": shape})
    with pytest.raises(ModelError, match="weight_shape"):
        facts_of(model)
