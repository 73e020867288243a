"""Model directories that are wrong in every way we know, and where good ones are put."""

from __future__ import annotations

import json
import math
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gptcli.engine.torch.loader import pick_device, pick_dtype
from gptcli.engine.torch.runner import TorchRunner
from gptcli.errors import GptcliError, ModelError, UsageError
from tests.engine.helpers import copy_case, rows_of, whole
from tests.opening import load

Change = Callable[[dict[str, Any]], object]
Tensors = dict[str, torch.Tensor]


def opened(directory: Path) -> TorchRunner:
    return load(directory, device="cpu", dtype="float32")


def refused(directory: Path, *words: str, kind: type[GptcliError] = ModelError) -> str:
    """The one line that opening the directory fails with; it must hold all the words."""
    with pytest.raises(kind) as caught:
        opened(directory)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 1000
    for word in words:
        assert word in line
    return line


def rewrite(directory: Path, change: Callable[[Tensors], object]) -> None:
    """Change the stored tensors."""
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    (directory / "model.safetensors").unlink()
    save_file(tensors, directory / "model.safetensors")


# config.json


def test_no_config(tmp_path):
    """Catches a traceback for a directory that is no model at all."""
    refused(tmp_path, str(tmp_path), "config.json")
    refused(tmp_path / "nowhere", "nowhere", "config.json")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"n": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"model_type": "gpt2", "model_type": "llama"}', "twice"),
        (b"[]", "not a JSON object"),
        (b"3", "not a JSON object"),
        (b" " * (4 << 20) + b"{}", "larger than 4 MiB"),
    ],
)
def test_config_that_is_no_object(tmp_path, text, word):
    """Catches a parser that dies, or that reads whatever size it is given."""
    (tmp_path / "config.json").write_bytes(text)
    refused(tmp_path, str(tmp_path / "config.json"), word)


def test_config_that_is_a_directory(tmp_path):
    """Catches an OSError that nobody turns into a line."""
    (tmp_path / "config.json").mkdir()
    refused(tmp_path, str(tmp_path / "config.json"), "is not a file")


REQUIRED = (
    "hidden_size",
    "num_attention_heads",
    "num_hidden_layers",
    "intermediate_size",
    "vocab_size",
    "model_type",
)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("null", [False, True])
def test_missing_field(tmp_path, name, null):
    """Catches a default for what no default is right for."""
    change: Change = (lambda c: c.update({name: None})) if null else (lambda c: c.pop(name))
    refused(copy_case("llama/tied", tmp_path / "m", change), "config.json", f"'{name}' is missing")


@pytest.mark.parametrize(
    "value", [True, 0, -1, 2**24 + 1, 10**250, 2.0, "2", [2], math.nan, math.inf]
)
@pytest.mark.parametrize("name", ["hidden_size", "num_key_value_heads", "max_position_embeddings"])
def test_counts_that_are_none(tmp_path, name, value):
    """Catches a bool taken for 1, and numbers that would ask for all memory."""
    directory = copy_case("llama/tied", tmp_path / "m", lambda c: c.update({name: value}))
    refused(directory, "config.json", f"'{name}' must be a whole number")


@pytest.mark.parametrize("value", [True, 0, -1e-5, math.nan, math.inf, 10**400, "1e-5", {}])
@pytest.mark.parametrize("name", ["rms_norm_eps", "rope_theta"])
def test_numbers_that_are_none(tmp_path, name, value):
    """Catches NaN that spreads, and a whole number that no float can hold."""
    directory = copy_case("llama/tied", tmp_path / "m", lambda c: c.update({name: value}))
    refused(directory, "config.json", f"'{name}' must be ")


@pytest.mark.parametrize(
    ("case", "fields", "words"),
    [
        ("llama/tied", {"num_hidden_layers": 2**24}, (f"{2**24} layers",)),
        ("llama/tied", {"num_hidden_layers": 2**12}, (f"{2**12} layers", "20 tensors")),
        ("gemma2/capped", {"num_hidden_layers": 2**24}, (f"{2**24} layers",)),
        ("mixtral/all", {"num_local_experts": 2**24}, ("experts", f"{2**24}")),
        ("mixtral/all", {"num_local_experts": 2**12}, (f"{2**13} experts", "numbers")),
        ("gpt_oss/mxfp4", {"num_local_experts": 2**12}, (f"{2**13} experts", "numbers")),
    ],
)
def test_more_parts_than_tensors_are_refused_before_they_are_built(tmp_path, case, fields, words):
    """Catches hours spent on building the sixteen million parts that a bad config.json asks for."""
    directory = copy_case(case, tmp_path / "m", lambda c: c.update(fields))
    refused(directory, "config.json", *words)


@pytest.mark.parametrize(
    ("case", "fields", "words"),
    [
        ("llama/tied", {"num_attention_heads": 5, "head_dim": None}, ("num_key_value_heads",)),
        (
            "llama/tied",
            {"num_attention_heads": 5, "num_key_value_heads": 5, "head_dim": None},
            ("num_attention_heads", "does not divide"),
        ),
        ("llama/tied", {"num_key_value_heads": 4}, ("num_key_value_heads", "does not divide")),
        ("gpt2/tied", {"n_head": 5}, ("n_head", "does not divide")),
        ("llama/tied", {"model_type": "mamba9"}, ("mamba9", "gpt2", "llama", "mistral")),
        ("llama/tied", {"model_type": "rules"}, ("rules", "supported")),
        ("llama/tied", {"model_type": "../x"}, ("../x", "supported")),
        ("llama/tied", {"model_type": 7}, ("model_type", "must be a text")),
        ("llama/tied", {"hidden_act": "relu6"}, ("hidden_act", "relu6", "silu")),
        ("llama/tied", {"attention_bias": "yes"}, ("attention_bias", "true or false")),
        ("llama/tied", {"quantization_config": {"quant_method": "hqq"}}, ("hqq", "gptq, awq")),
        ("llama/tied", {"quantization_config": {}}, ("quant_method", "unknown")),
        ("llama/tied", {"quantization_config": "awq"}, ("quantization_config", "awq")),
        ("llama/tied", {"is_encoder_decoder": True}, ("is_encoder_decoder", "true")),
        ("gpt2/tied", {"scale_attn_weights": False}, ("scale_attn_weights", "false")),
        (
            "gpt2/tied",
            {"scale_attn_by_inverse_layer_idx": True},
            ("scale_attn_by_inverse_layer_idx", "true"),
        ),
        ("gpt2/tied", {"add_cross_attention": True}, ("add_cross_attention", "true")),
        ("mistral/window", {"sliding_window": 0}, ("sliding_window", "whole number")),
    ],
)
def test_configs_that_the_decoder_cannot_follow(tmp_path, case, fields, words):
    """Catches a feature that is ignored instead of refused by name."""
    refused(copy_case(case, tmp_path / "m", lambda c: c.update(fields)), "config.json", *words)


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 24,
}


@pytest.mark.parametrize(
    ("rope", "words"),
    [
        ({"rope_type": "axial", "factor": 4.0}, ("rope_type", "axial", "linear", "llama3")),
        ({"type": "spiral", "factor": 4.0}, ("spiral", "linear", "llama3")),
        ({"rope_type": "dynamic"}, ("factor", "missing")),
        ({"rope_type": "dynamic", "factor": 0.5}, ("factor", "at least 1")),
        ({"rope_type": "dynamic", "factor": 2, "partial_rotary_factor": 0.5}, ("dynamic", "2")),
        ({"rope_type": "yarn", "factor": "x"}, ("factor", "must be a number")),
        ({"rope_type": "yarn", "factor": 4, "beta_fast": 0.5}, ("beta_fast", "beta_slow")),
        ({"rope_type": "yarn", "factor": 4, "truncate": 1}, ("truncate", "true or false")),
        ({"rope_type": "longrope", "long_factor": [1.0] * 2}, ("short_factor", "list of 2")),
        (
            {"rope_type": "su", "short_factor": [1.0] * 2, "long_factor": [1.0]},
            ("long_factor", "list of 2"),
        ),
        (
            {"rope_type": "longrope", "short_factor": [1, 0], "long_factor": [1, 1]},
            ("short_factor", "more than 0"),
        ),
        ({"rope_type": "linear"}, ("factor", "missing")),
        ({"rope_type": "linear", "factor": -2}, ("factor", "more than 0")),
        ({"rope_type": None, "type": 3}, ("type", "must be a text")),
        (LLAMA3 | {"high_freq_factor": 0.5}, ("high_freq_factor", "at least")),
        (LLAMA3 | {"original_max_position_embeddings": None}, ("original_max", "missing")),
        ({"partial_rotary_factor": 0.75}, ("partial_rotary_factor",)),
        ({"partial_rotary_factor": 2.0}, ("partial_rotary_factor",)),
        ({"partial_rotary_factor": 1e308}, ("partial_rotary_factor",)),
        ({"partial_rotary_factor": 1e-9}, ("partial_rotary_factor",)),
        ("linear", ("must be an object", "linear")),
    ],
)
@pytest.mark.parametrize("place", ["rope_parameters", "rope_scaling"])
def test_rope_that_is_not_known(tmp_path, place, rope, words):
    """Catches positions that are wrong without a word."""

    def change(config: dict[str, Any]) -> None:
        config.pop("rope_parameters", None)
        config[place] = rope

    refused(copy_case("llama/tied", tmp_path / "m", change), "config.json", *words)


def test_limit_beyond_the_context_is_a_usage_error(tmp_path):
    """Catches a --ctx-size for which there are no positions."""
    directory = copy_case("llama/tied", tmp_path / "m")
    assert load(directory, device="cpu", ctx_size=48).limit == 48
    assert load(directory, device="cpu", ctx_size=5).limit == 5
    with pytest.raises(UsageError, match=r"^--ctx-size: 49 .* 48$"):
        load(directory, device="cpu", ctx_size=49)


# Weights


def test_no_weights(tmp_path):
    """Catches a model half downloaded that is taken for one of another kind."""
    directory = copy_case("llama/tied", tmp_path / "m")
    (directory / "model.safetensors").unlink()
    line = refused(directory, str(directory), "neither model.safetensors nor")
    assert "pickle" not in line


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth"])
def test_pickles_are_never_opened(tmp_path, name):
    """Catches loading what can run code."""
    directory = copy_case("llama/tied", tmp_path / "m")
    (directory / "model.safetensors").unlink()
    (directory / name).write_bytes(b"cos\nsystem\n(S'exit 3'\ntR.")
    refused(directory, str(directory), name, "pickle", "safetensors")


NAME = "model.layers.1.mlp.up_proj.weight"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(NAME), (NAME, "is missing")),
        (lambda t: t.update({"model.layers.2.x": torch.ones(1)}), ("model.layers.2.x", "not part")),
        (lambda t: t.update({NAME: torch.ones(40, 23)}), (NAME, "[40, 23]", "[40, 24]")),
        (lambda t: t.update({NAME: t[NAME].t().contiguous()}), (NAME, "[24, 40]", "[40, 24]")),
        (lambda t: t.update({NAME: torch.ones(40, 24, 1)}), (NAME, "[40, 24, 1]")),
        (lambda t: t.update({NAME: torch.ones(())}), (NAME, "[]")),
        (lambda t: t.update({NAME: t[NAME].to(torch.int8)}), (NAME, "F32, F16, BF16")),
        (lambda t: t.update({NAME: t[NAME].double()}), (NAME, "F32, F16, BF16")),
        (lambda t: t.update({NAME: t[NAME].to(torch.float8_e4m3fn)}), (NAME, "weight_scale")),
        (
            lambda t: t.update({NAME.removeprefix("model."): torch.ones(40, 24)}),
            (NAME.removeprefix("model."), "with and without"),
        ),
        (
            lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": torch.ones(24)}),
            ("q_proj.bias", "not part"),
        ),
        (
            lambda t: t.update({"vision_tower.patch_embedding.weight": torch.ones(2, 2)}),
            ("vision_tower", "not part"),
        ),
        (lambda t: t.clear(), ("layers", "0 tensors")),
    ],
)
def test_tensors_that_do_not_fit(tmp_path, change, words):
    """Catches weights that are left out, left over, broadcast or cast to fit."""
    directory = copy_case("llama/tied", tmp_path / "m")
    rewrite(directory, change)
    refused(directory, str(directory), *words)


def test_gpt2_tensors_stored_the_other_way_round(tmp_path):
    """Catches a fused tensor whose transposed shape is let through."""
    directory = copy_case("gpt2/tied", tmp_path / "m")
    name = "transformer.h.0.attn.c_attn.weight"
    rewrite(directory, lambda t: t.update({name: t[name].t().contiguous()}))
    refused(directory, name, "[72, 24]", "[24, 72]")


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 100, -100_000, -1])
def test_truncated_weights(tmp_path, keep):
    """Catches a download that broke off anywhere: in the header's length, the header, the data."""
    directory = copy_case("llama/tied", tmp_path / "m")
    file = directory / "model.safetensors"
    data = file.read_bytes()
    header = 8 + struct.unpack("<Q", data[:8])[0]
    cuts = {-100_000: header + 5}
    rest = data[: cuts.get(keep, keep)]
    file.write_bytes(rest)
    word = "its header has no end" if len(rest) < header else f"is {len(rest)} bytes long, but its"
    refused(directory, str(file), word)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"not json at all!", "not valid JSON"),
        (b"{}" + b" " * 6, "is 24 bytes long, but its header describes 16"),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', "the size of its shape"),
        (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,800]}}', "the size of its shape"),
        (b'{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}', "not a whole number"),
        (b'{"a":{"dtype":"F77","shape":[2],"data_offsets":[0,8]}}', "not described as it should"),
        (
            b'{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}',
            "impossible shape",
        ),
    ],
)
def test_garbage_headers(tmp_path, text, word):
    """Catches a header that is believed before it is checked."""
    directory = copy_case("llama/tied", tmp_path / "m")
    file = directory / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    refused(directory, str(file), word)


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 200 << 20])
def test_header_lengths_that_ask_for_all_memory(tmp_path, length):
    """Catches an allocation of whatever eight bytes of a file say."""
    directory = copy_case("llama/tied", tmp_path / "m")
    file = directory / "model.safetensors"
    file.write_bytes(struct.pack("<Q", length) + b"{}" * 100)
    refused(directory, str(file), "not a safetensors file: its header has no end")


# The index of shards


def sharded(tmp_path: Path, change: Callable[[dict[str, str]], object]) -> Path:
    directory = copy_case("llama/sharded", tmp_path / "m")
    index = directory / "model.safetensors.index.json"
    found = json.loads(index.read_text())
    change(found["weight_map"])
    index.write_text(json.dumps(found))
    return directory


def test_missing_shard(tmp_path):
    """Catches a download that lacks one file."""
    directory = copy_case("llama/sharded", tmp_path / "m")
    shard = sorted(directory.glob("model-*.safetensors"))[3]
    shard.unlink()
    refused(directory, str(shard), "is missing")


@pytest.mark.parametrize(
    "shard",
    ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "..\\x", ".", "..", "", "a\0b", 3, None],
)
def test_shards_outside_of_the_directory(tmp_path, shard):
    """Catches an index that makes us open any file of this machine."""
    (tmp_path / "x.safetensors").write_bytes(b"")
    directory = sharded(tmp_path, lambda m: m.update({"model.norm.weight": shard}))
    refused(directory, "model.safetensors.index.json", f"shard {shard!r}")


def test_tensor_that_its_shard_lacks(tmp_path):
    """Catches an index that belongs to other files."""
    directory = sharded(tmp_path, lambda m: m.update({"model.extra": m["model.norm.weight"]}))
    refused(directory, "model-0000", "model.extra", "the index says")


def test_tensor_in_two_shards(tmp_path):
    """Catches a choice between two versions of a tensor that nobody knows of."""
    directory = copy_case("llama/sharded", tmp_path / "m")
    first, second = sorted(directory.glob("model-*.safetensors"))[:2]
    tensors = load_file(second)
    name, tensor = next(iter(load_file(first).items()))
    second.unlink()
    save_file({**tensors, name: tensor}, second)
    refused(directory, second.name, name, "twice", first.name)


@pytest.mark.parametrize("text", ['{"weight_map": {}}', '{"weight_map": []}', "{}", "[]", "{"])
def test_index_without_a_map(tmp_path, text):
    """Catches an index from which nothing would be loaded."""
    directory = copy_case("llama/sharded", tmp_path / "m")
    (directory / "model.safetensors.index.json").write_text(text)
    refused(directory, "model.safetensors.index.json")


# Where good weights go


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/maps")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("case", ["gpt2/tied", "llama/sharded"])
def test_weights_stay_in_the_mapped_file(tmp_path, case, dtype):
    """Catches a copy: a model would take twice its size, and its time to read at every start."""
    directory = copy_case(case, tmp_path / "m")
    for file in directory.glob("*.safetensors"):
        tensors = {n: t.to(getattr(torch, dtype)) for n, t in load_file(file).items()}
        file.unlink()
        save_file(tensors, file)
    runner = load(directory, device="cpu", dtype=dtype)
    assert runner.dtype == getattr(torch, dtype)
    spans = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if str(directory) in line:
            start, end = line.split()[0].split("-")
            spans.append(range(int(start, 16), int(end, 16)))
    for name, parameter in runner.decoder.named_parameters():
        assert any(parameter.data_ptr() in span for span in spans), name
        assert not parameter.requires_grad


def test_no_module_keeps_weights_that_were_not_loaded():
    """Catches a parameter left on the meta device, which the checkpoint never filled."""
    for parameter in opened(
        Path(__file__).parents[2] / "goldens/llama/biases"
    ).decoder.parameters():
        assert parameter.device.type == "cpu"


@pytest.mark.parametrize("missing", [False, True])
def test_masks_do_not_choose_the_dtype(tmp_path, monkeypatch, missing):
    """Catches weights cast to whole numbers, as most numbers of the file are a stored mask."""
    directory = copy_case("gpt2/tied", tmp_path / "m")
    mask = torch.ones(1, 1, 512, 512, dtype=torch.uint8)
    rewrite(directory, lambda t: t.update({"transformer.h.0.attn.bias": mask}))
    monkeypatch.setattr("gptcli.engine.torch.loader._does_well", lambda *_: True)
    runner = load(directory, device="cpu")
    assert runner.dtype == torch.float32
    row = rows_of("gpt2/tied")[0]
    assert torch.equal(runner.all_logits(row, runner.new_state()), whole("gpt2/tied")[0])


# Devices and dtypes

F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16


@pytest.fixture
def machine(monkeypatch) -> Callable[..., None]:
    """Pretends a machine."""

    def pretend(
        *,
        gpus: int = 0,
        capability: int = 8,
        mps: bool = False,
        x86: bool = False,
        arm: bool = False,
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (capability, 0))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: x86, raising=False)
        monkeypatch.setattr("platform.machine", lambda: "aarch64" if arm else "x86_64")

    return pretend


@pytest.mark.parametrize(
    ("device", "facts", "stored", "expected"),
    [
        ("cuda", {"gpus": 1, "capability": 7}, BF16, F32),
        ("cuda", {"gpus": 1, "capability": 7}, F16, F16),
        ("cuda", {"gpus": 1, "capability": 8}, BF16, BF16),
        ("cuda", {"gpus": 1, "capability": 9}, F32, F32),
        ("mps", {"mps": True}, F16, F16),
        ("mps", {"mps": True}, BF16, BF16),
        ("cpu", {}, F32, F32),
        ("cpu", {"x86": True}, F16, F32),
        ("cpu", {"x86": True}, BF16, BF16),
        ("cpu", {"x86": False}, BF16, F32),
    ],
)
def test_auto_dtype(machine, device, facts, stored, expected):
    """Catches a dtype that the device emulates, at a fraction of its speed."""
    machine(**facts)
    assert pick_dtype("auto", stored, torch.device(device)) == expected


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_named_dtype_is_taken(machine, name):
    """Catches `auto` that overrules the user."""
    machine()
    for stored in (F32, F16, BF16):
        assert pick_dtype(name, stored, torch.device("cpu")) == getattr(torch, name)


@pytest.mark.parametrize(
    ("facts", "name", "expected"),
    [
        ({}, "auto", "cpu"),
        ({"mps": True}, "auto", "mps"),
        ({"gpus": 1}, "auto", "cuda"),
        ({"gpus": 2, "mps": True}, "auto", "cuda"),
        ({"gpus": 2}, "cpu", "cpu"),
        ({"gpus": 2}, "cuda", "cuda"),
        ({"gpus": 2}, "cuda:1", "cuda:1"),
        ({"mps": True}, "mps", "mps"),
    ],
)
def test_devices_that_are_there(machine, facts, name, expected):
    """Catches an order of preference turned round, and an index that is lost."""
    machine(**facts)
    assert pick_device(name) == torch.device(expected)


@pytest.mark.parametrize(
    ("facts", "name", "word"),
    [
        ({}, "cuda", "sees no CUDA GPU"),
        ({}, "cuda:0", "sees no CUDA GPU"),
        ({"gpus": 2}, "cuda:2", "2 GPU"),
        ({"gpus": 2}, "cuda:9", "2 GPU"),
        ({"gpus": 2}, "cuda:256", "2 GPU"),
        ({"gpus": 2}, "cuda:99999999999999999999", "2 GPU"),
        ({"gpus": 2}, "mps", "not available"),
    ],
)
def test_devices_that_are_not_there(machine, facts, name, word):
    """Catches another device taken instead, as torch takes cuda:256 for cuda:0."""
    machine(**facts)
    with pytest.raises(UsageError, match=re.escape(word)) as caught:
        pick_device(name)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(f"--device: {name} ")
    assert "\n" not in str(caught.value)
