"""The compressed-tensors format, held to the library that writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gptcli.engine.weights.quantised import packing
from gptcli.errors import ModelError
from tests.engine.weights import packed
from tests.engine.weights.test_quantised import assert_same_model
from tests.opening import plan

quantization = pytest.importorskip("compressed_tensors.quantization")
compressors = pytest.importorskip("compressed_tensors.compressors")

INT4 = {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": 8}
INT8 = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"}
FP8 = {"num_bits": 8, "type": "float", "symmetric": True, "strategy": "channel"}
DYNAMIC = {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True, "symmetric": True}
STATIC = {"num_bits": 8, "type": "float", "strategy": "tensor", "dynamic": False}

#: name → format, weights, activations, dtype of the scales
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None, torch.dtype]] = {
    "w4a16": ("pack-quantized", INT4, None, torch.bfloat16),
    "w4a16-asymmetric": ("pack-quantized", INT4 | {"symmetric": False}, None, torch.float16),
    "w4a16-channel": (
        "pack-quantized",
        INT4 | {"strategy": "channel", "group_size": None},
        None,
        torch.float32,
    ),
    "w4a16-channel-asymmetric": (
        "pack-quantized",
        INT4 | {"strategy": "channel", "group_size": None, "symmetric": False},
        None,
        torch.bfloat16,
    ),
    "w4a16-by-weight": ("pack-quantized", INT4 | {"actorder": "weight"}, None, torch.float16),
    "w8a16-packed": ("pack-quantized", INT8, None, torch.bfloat16),
    "w8a16": ("int-quantized", INT8, None, torch.bfloat16),
    "w8a16-asymmetric": ("int-quantized", INT8 | {"symmetric": False}, None, torch.float16),
    "w8a16-groups": (
        "int-quantized",
        INT8 | {"strategy": "group", "group_size": 8},
        None,
        torch.bfloat16,
    ),
    "w8-tensor": ("naive-quantized", INT8 | {"strategy": "tensor"}, None, torch.bfloat16),
    "fp8": ("float-quantized", FP8, DYNAMIC, torch.bfloat16),
    "fp8-tensor": ("float-quantized", FP8 | {"strategy": "tensor"}, STATIC, torch.bfloat16),
    "fp8-blocks": (
        "float-quantized",
        FP8 | {"strategy": "block", "block_structure": [16, 16]},
        DYNAMIC,
        torch.bfloat16,
    ),
}


def observed(weight: torch.Tensor, args: Any, dtype: torch.dtype) -> packed.Tensors:
    """Scales and zero points from the smallest and largest number of each part of the weight."""
    rows, columns = weight.shape
    down, across = {
        "tensor": (rows, columns),
        "channel": (1, columns),
        "group": (1, args.group_size or 1),
        "block": tuple(args.block_structure or (1, 1)),
    }[args.strategy]
    shape = -(-rows // down), -(-columns // across)
    low, high = torch.zeros(shape), torch.zeros(shape)
    for i in range(shape[0]):
        for j in range(shape[1]):
            part = weight[i * down : (i + 1) * down, j * across : (j + 1) * across]
            low[i, j], high[i, j] = part.min().clamp(max=0), part.max().clamp(min=0)
    top = 448.0 if args.type == "float" else float(1 << (args.num_bits - 1))
    if args.symmetric:
        scale = (torch.maximum(-low, high) / top).to(dtype)
        found = {"weight_scale": scale}
    else:
        scale = ((high - low) / (2 * top - 1)).to(dtype)
        zeros = (-top - low / scale.float()).round().clamp(-top, top - 1)
        found = {"weight_scale": scale, "weight_zero_point": zeros.to(torch.int8)}
    if args.strategy == "tensor":
        found = {name: tensor.view(1) for name, tensor in found.items()}
    return found


def packer(name: str) -> tuple[packed.Pack, dict[str, Any]]:
    form, weights, activations, dtype = CASES[name]
    scheme = quantization.QuantizationScheme(
        targets=["Linear"], weights=weights, input_activations=activations, format=form
    )
    compressor = compressors.BaseCompressor.get_value_from_registry(form)

    def pack(weight: torch.Tensor) -> tuple[packed.Tensors, torch.Tensor]:
        state = {"weight": weight.to(dtype), **observed(weight, scheme.weights, dtype)}
        found = compressor.compress(state, scheme)
        meaning = compressor.decompress(found, scheme)["weight"]
        if activations is STATIC:
            found["input_scale"] = torch.tensor([0.25], dtype=dtype)
        return found, meaning

    config = quantization.QuantizationConfig(
        config_groups={"group_0": scheme},
        format=form,
        ignore=["lm_head"],
        quantization_status="compressed",
    )
    return pack, config.model_dump(mode="json")


@pytest.mark.parametrize("name", CASES)
def test_weights_are_what_the_library_makes_of_them(tmp_path, name):
    """Catches any slip in a layout, and a rounding that the library has not."""
    pack, config = packer(name)
    meaning = packed.quantise("llama/untied", tmp_path / "m", pack, config)
    assert_same_model(tmp_path / "m", meaning, "llama/untied", tmp_path)


@pytest.mark.parametrize("name", ["w4a16-asymmetric", "w8a16", "fp8-tensor", "fp8-blocks"])
def test_large_weights_are_read_in_slices(tmp_path, monkeypatch, name):
    """Catches rows left out, or scaled as others, where a matrix is more than one slice."""
    monkeypatch.setattr(packing, "_CHUNK", 300)
    pack, config = packer(name)
    meaning = packed.quantise("llama/untied", tmp_path / "m", pack, config)
    assert_same_model(tmp_path / "m", meaning, "llama/untied", tmp_path)


def test_groups_of_modules_have_schemes_of_their_own(tmp_path):
    """Catches one scheme for all where a group names its modules, and the order they are in."""
    (pack4, config4), (pack8, config8) = packer("w4a16"), packer("w8a16-packed")
    config = config4
    config["config_groups"]["group_1"] = config8["config_groups"]["group_0"] | {
        "targets": ["re:.*self_attn\\.(q|k)_proj$", "model.layers.1.mlp.up_proj"]
    }
    eight = ("q_proj", "k_proj", "layers.1.mlp.up_proj")
    meaning = packed.quantise(
        "llama/untied", tmp_path / "m", pack4, config, skip=("lm_head", *eight)
    )

    def add(tensors: packed.Tensors) -> None:
        for name in [n for n in tensors if any(f"{e}.weight" in n for e in eight)]:
            parts, meaning[name] = pack8(tensors.pop(name))
            module = name.removesuffix(".weight")
            tensors.update({f"{module}.{part}": t.contiguous() for part, t in parts.items()})

    packed.rewrite(tmp_path / "m", add)
    assert_same_model(tmp_path / "m", meaning, "llama/untied", tmp_path)


@pytest.mark.parametrize("ignored", ["model.layers.0.mlp.up_proj", "re:.*up_proj"])
def test_what_config_json_leaves_out_is_not_packed(tmp_path, ignored):
    """Catches a list of modules that nobody reads."""
    pack, config = packer("w4a16")
    config["ignore"].append(ignored)
    packed.quantise("llama/untied", tmp_path / "m", pack, config)
    with pytest.raises(ModelError, match=r"up_proj is quantised, but config\.json says") as caught:
        plan(tmp_path / "m")
    assert str(tmp_path / "m") in str(caught.value)
    other = tmp_path / "plain-up"
    meaning = packed.quantise("llama/untied", other, pack, config, skip=("lm_head", "up_proj"))
    assert_same_model(other, meaning, "llama/untied", tmp_path)


def test_a_shape_that_is_not_the_weights(tmp_path: Path):
    """Catches weight_shape read by nobody."""
    pack, config = packer("w4a16")
    packed.quantise("llama/untied", tmp_path / "m", pack, config)
    name = "model.layers.0.mlp.up_proj.weight"
    packed.rewrite(tmp_path / "m", lambda t: t.update({f"{name}_shape": torch.tensor([40, 23])}))
    source = plan(tmp_path / "m").source
    with pytest.raises(ModelError, match=r"weight_shape is \[40, 23\], not \[40, 24\]"):
        source.read(name)
