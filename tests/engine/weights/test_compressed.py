"""The compressed-tensors format, held to the library that writes it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from gptcli.engine.weights.quantised import packing
from gptcli.errors import ModelError
from tests.engine.weights import packed, wide
from tests.engine.weights.test_quantised import assert_same_model
from tests.opening import load, plan

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
LAYER = "model.layers.1.mlp.down_proj"
NVFP4 = FP8 | {"num_bits": 4, "strategy": "tensor_group", "group_size": 16}
NVFP4 |= {"scale_dtype": "torch.float8_e4m3fn"}
MXFP4 = NVFP4 | {"strategy": "group", "group_size": 32, "scale_dtype": "torch.uint8"}


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


def four_bits(form: str, weights: dict[str, Any]) -> tuple[packed.Pack, dict[str, Any]]:
    """Floats of four bits by the library, which computes in bfloat16 what we have in float32."""
    scheme = quantization.QuantizationScheme(targets=["Linear"], weights=weights, format=form)
    compressor = compressors.BaseCompressor.get_value_from_registry(form)

    def pack(weight: torch.Tensor) -> tuple[packed.Tensors, torch.Tensor]:
        largest = weight.unflatten(1, (-1, scheme.weights.group_size)).abs().amax(2)
        state = {"weight": weight, "weight_scale": (largest / 6).log2().ceil().exp2()}
        if form.startswith("nvfp4"):
            state["weight_global_scale"] = 448 * 6 / weight.abs().max().view(1)
            scale = largest / 6 * state["weight_global_scale"]
            state["weight_scale"] = scale.to(torch.float8_e4m3fn).float()
        found = compressor.compress(state, scheme)
        return found, compressor.decompress(found, scheme)["weight"]

    config = quantization.QuantizationConfig(
        config_groups={"group_0": scheme}, format=form, quantization_status="compressed"
    )
    return pack, config.model_dump(mode="json")


@pytest.mark.parametrize(
    ("form", "weights"), [("nvfp4-pack-quantized", NVFP4), ("mxfp4-pack-quantized", MXFP4)]
)
def test_floats_of_four_bits_are_what_the_library_makes_of_them(tmp_path, form, weights):
    """Catches halves of a byte swapped, another group's scale, a factor that is multiplied."""
    pack, config = four_bits(form, weights)
    meaning = wide.make(tmp_path / "m", pack, {"quantization_config": config})
    source = plan(tmp_path / "m").source
    for name, expected in meaning.items():
        found = source.read(name)
        assert torch.equal(found.to(expected.dtype), expected), name
    exact = {name: source.read(name) for name in meaning}
    wide.assert_same(tmp_path / "m", exact, tmp_path / "plain")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(f"{LAYER}.weight_global_scale"), ("weight_global_scale", "missing")),
        (lambda t: t[f"{LAYER}.weight_global_scale"].zero_(), ("global_scale", "no finite number")),
        (lambda t: t[f"{LAYER}.weight_scale"].view(torch.uint8).fill_(127), ("no finite number",)),
        (lambda t: t.update({f"{LAYER}.weight_scale": torch.ones(128, 16)}), ("float8_e4m3fn",)),
        (
            lambda t: t.update({f"{LAYER}.weight_packed": torch.zeros(128, 4, dtype=torch.uint8)}),
            ("8 inputs", "groups of 16"),
        ),
    ],
)
def test_floats_of_four_bits_that_are_not_whole(nvfp4, tmp_path, change, words):
    """Catches a part that is missing, of another kind, or no number, and is not named."""
    shutil.copytree(nvfp4, tmp_path / "m")
    packed.rewrite(tmp_path / "m", change)
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "m", device="cpu", dtype="float32")
    assert all(word in str(caught.value) for word in (LAYER, *words)), caught.value


@pytest.fixture(scope="module")
def nvfp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("nvfp4") / "m"
    pack, config = four_bits("nvfp4-pack-quantized", NVFP4)
    wide.make(directory, pack, {"quantization_config": config})
    return directory


def test_groups_in_the_order_of_activations(tmp_path):
    """Catches inputs that take the scale of their neighbours: older writers kept an index."""
    pack, config = packer("w4a16-asymmetric")
    config["config_groups"]["group_0"]["weights"]["actorder"] = "group"

    def ordered(weight: torch.Tensor) -> tuple[packed.Tensors, torch.Tensor]:
        order = torch.randperm(weight.shape[1], generator=torch.Generator().manual_seed(4))
        parts, meaning = pack(weight[:, order])
        columns = torch.empty_like(order)
        columns[order] = torch.arange(len(order))
        sorted_numbers = compressors.unpack_from_int32(parts["weight_packed"], 4, weight.shape)
        numbers = sorted_numbers[:, columns].contiguous()
        parts["weight_packed"] = compressors.pack_to_int32(numbers, 4)
        parts["weight_g_idx"] = (columns // 8).int()
        return parts, meaning[:, columns]

    meaning = packed.quantise("llama/untied", tmp_path / "m", ordered, config)
    assert_same_model(tmp_path / "m", meaning, "llama/untied", tmp_path)
