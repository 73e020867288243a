"""Configs of every family, indexes, adapters and generation configs that say what they like."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from gptcli.engine.model.families import supported
from gptcli.types.compute import Compute
from gptcli.types.models import AdapterRef, ModelDir
from gptcli.types.sampling import SamplingWish
from tests.engine.helpers import CASES, GOLDENS
from tests.faults import mutations
from tests.faults.mutants import guilty, outcomes
from tests.faults.scale import seeds

_ROPES: list[Any] = [
    {"rope_type": kind, "factor": 4.0, "original_max_position_embeddings": 16, **more}
    for kind, more in {
        "linear": {}, "dynamic": {}, "yarn": {}, "default": {}, "nothing": {},
        "llama3": {"low_freq_factor": 1.0, "high_freq_factor": 4.0},
        "longrope": {"short_factor": [1.0] * 2, "long_factor": [2.0] * 2},
    }.items()
]  # fmt: skip
_ROPES += [
    {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1.0},
    {"rope_type": "yarn", "factor": 4.0, "beta_fast": 1e308, "beta_slow": 1e-320},
    {"rope_type": "yarn", "factor": 1e308, "truncate": False},
    {"rope_type": "dynamic", "factor": 1e308},
    {"rope_type": "llama3", "factor": 1e-300, "low_freq_factor": 1e-300, "high_freq_factor": 1e300},
    {"full_attention": {"rope_type": "yarn", "factor": 2}, "sliding_attention": None},
]
_WILD = "re:" + ".*" * 24 + "x"
#: Fields that a config may have, and values that they may take there.
_MORE: dict[str, list[Any]] = {
    "rope_scaling": _ROPES,
    "rope_parameters": _ROPES,
    "rope_theta": [1.0, 1e-300, 1e300, 0.5],
    "partial_rotary_factor": [0.1, 0.5, 2.0, 1e-9],
    "model_type": supported(),
    "quantization_config": [
        {"quant_method": name} for name in ("gptq", "awq", "fp8", "mxfp4", "modelopt", "x")
    ]
    + [
        {"quant_method": "gptq", "bits": 4, "group_size": 8},
        {"quant_method": "compressed-tensors", "format": "pack-quantized",
         "config_groups": {"a": {"targets": [_WILD], "weights": {"num_bits": 4}}}},
        {"quant_method": "compressed-tensors", "ignore": ["re:(a*)*b"],
         "config_groups": {"a": {"targets": ["Linear"], "weights": {"num_bits": 8}}}},
    ],
    "quantization": [
        {"group_size": 64, "bits": 4},
        {"group_size": 32, "mode": "mxfp4"},
        {"group_size": 7, "bits": 4},
        {"group_size": 64, "bits": 4, "lm_head": {"bits": "x"}},
    ],
    "tie_word_embeddings": [True, False],
    "hidden_act": ["gelu", "relu", "x"],
    "layer_types": [["full_attention"] * 2, ["sliding_attention"] * 2, ["x"]],
    "sliding_window": [1, 2, 2**24],
    "num_attention_heads": [1, 3, 2**24],
    "num_key_value_heads": [1, 3, 2**24],
    "num_hidden_layers": [1, 2, 4096, 2**24],
    "num_local_experts": [1, 4096, 2**24],
    "hidden_size": [1, 2**24, 16777200],
    "vocab_size": [1, 60, 62, 2**24],
    "max_position_embeddings": [1, 2, 2**24],
    "head_dim": [1, 2, 3, 2**24],
    "text_config": [{}, {"model_type": "gemma3_text"}],
}  # fmt: skip
_BY_FAMILY = [next(c for c in CASES if c.startswith(f"{name}/")) for name in supported()]


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A model of each family, and nowhere to keep packed weights."""
    monkeypatch.setenv("GPTCLI_DATA_DIR", "/dev/null/nowhere")
    found = []
    for case in _BY_FAMILY:
        to = tmp_path / case.replace("/", "-")
        shutil.copytree(GOLDENS / case, to)
        found.append(to)
    return found


@pytest.mark.slow
@seeds(10_000, blocks=2)
def test_mutants_of_configs(copies: list[Path], cases: range) -> None:
    """A number that is multiplied, shifted or divided by before it is looked at."""
    configs = {each: json.loads((each / "config.json").read_text()) for each in copies}

    def attempt(seed: int) -> None:
        rng = random.Random(seed)
        directory = rng.choice(copies)
        text = mutations.object_of(rng, configs[directory], _MORE)
        try:
            (directory / "config.json").write_bytes(text)
            mutations.run(directory, rng)
        finally:
            (directory / "config.json").write_text(json.dumps(configs[directory]))

    found = outcomes(attempt, cases)
    assert guilty(found) == []
    assert sum(outcome.code == 3 for outcome in found) > len(cases) / 3


@seeds(1_000)
def test_mutants_of_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cases: range) -> None:
    """A name of a shard that leads elsewhere, or is none."""
    monkeypatch.setenv("GPTCLI_DATA_DIR", "/dev/null/nowhere")
    shutil.copytree(GOLDENS / "llama/sharded", tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors.index.json"
    whole = json.loads(path.read_text())
    name = sorted(set(whole["weight_map"].values()))[0]
    more = {"weight_map": [{"a": shard} for shard in ("../x", "/dev/zero", "x.bin", name, "")]}

    def attempt(seed: int) -> None:
        rng = random.Random(seed)
        path.write_bytes(mutations.object_of(rng, whole, more))
        mutations.run(tmp_path / "m", rng)

    found = outcomes(attempt, cases)
    assert guilty(found) == [] and any(outcome.code == 3 for outcome in found)


@seeds(2_000)
def test_mutants_of_adapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cases: range) -> None:
    """An adapter's config, or its weights, that fit nothing."""
    from tests.engine.weights import adapters

    monkeypatch.setenv("GPTCLI_DATA_DIR", "/dev/null/nowhere")
    adapter = adapters.make("rank_pattern", tmp_path / "a")
    config = json.loads((adapter / "adapter_config.json").read_text())
    weights = (adapter / "adapter_model.safetensors").read_bytes()
    bombs = [".*" * 24 + "x", "(a*)*b", "(", "a" * 3000, "(a)\\1"]
    more: dict[str, list[Any]] = {
        "target_modules": [*bombs, "all-linear", ["q_proj"]],
        "rank_pattern": [{each: 4} for each in bombs],
        "layers_pattern": bombs,
        "layers_to_transform": [10**300, [2**64], 1],
        "modules_to_save": [["lm_head"], ["norm"]],
    }

    def attempt(seed: int) -> None:
        from tests.faults.test_mutated_weights import mutant
        from tests.opening import load

        rng = random.Random(seed)
        text, held = json.dumps(config).encode(), weights
        if rng.random() < 0.7:
            text = mutations.object_of(rng, config, more)
        else:
            held = mutant(rng, weights)
        (adapter / "adapter_config.json").write_bytes(text)
        (adapter / "adapter_model.safetensors").write_bytes(held)
        mutations.tokens(load(GOLDENS / "llama/untied", adapter=(AdapterRef(adapter),)))

    found = outcomes(attempt, cases)
    assert guilty(found) == [] and any(outcome.code == 3 for outcome in found)


@seeds(2_000)
def test_mutants_of_generation_configs(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cases: range
) -> None:
    """How to draw, told by a stranger."""
    from gptcli.backends.local.open_model import OpenModel

    monkeypatch.setenv("GPTCLI_DATA_DIR", "/dev/null/nowhere")
    directory = tmp_path / "m"
    shutil.copytree(tiny_model, directory)
    whole = {"temperature": 0.7, "top_k": 5, "top_p": 0.9, "eos_token_id": [1, 2]}
    names = ["suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "sequence_bias"]
    names += ["min_new_tokens", "stop_strings", "repetition_penalty", "min_p", "do_sample"]
    names += ["forced_bos_token_id", "encoder_repetition_penalty", "no_repeat_ngram_size"]
    lists: list[Any] = [[[1]], [1, 2**40], [[-1]], 1.5, [["a"]]]
    more = dict.fromkeys(names, lists)

    def attempt(seed: int) -> None:
        rng = random.Random(seed)
        text = mutations.object_of(rng, whole, more)
        (directory / "generation_config.json").write_bytes(text)
        compute = Compute(threads=1, cpu_features=rng.choice(["auto", "none"]))
        model = OpenModel(ModelDir("m", directory, "m"), compute)
        list(model.defaults.notices())
        model.sampling(SamplingWish())

    found = outcomes(attempt, cases)
    assert guilty(found) == [] and any(outcome.code == 3 for outcome in found)
