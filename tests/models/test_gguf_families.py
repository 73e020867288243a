"""Every architecture: a transformers checkpoint, exported as GGUF, comes back the same."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import read_spec
from gptcli.errors import ModelError
from gptcli.models.gguf import families
from gptcli.models.gguf.convert import convert
from tests.engine.helpers import few_of
from tests.engine.mechanisms import cover, mechanisms
from tests.models import gguf_export
from tests.models.conftest import VOCABULARY, add_tokenizer

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128}
BLOOM = {"vocab_size": VOCABULARY, "hidden_size": 64, "n_layer": 2, "n_head": 4}
BLOOM["seq_length"] = 128
NEOX = {key: value for key, value in SIZES.items() if key != "num_key_value_heads"}
UNTIED, TIED = {"tie_word_embeddings": False}, {"tie_word_embeddings": True}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 5000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 24.0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500000.0,
    "factor": 16.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.5,
    "long_factor": [1.0, 1.5, 2.0, 8.0],
    "short_factor": [1.0, 1.0, 1.25, 2.0],
}
LONG_OF_ALL = {key: value for key, value in LONG.items() if key != "partial_rotary_factor"}
LINEAR = {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6}
NEAR = {"rope_type": "default", "rope_theta": 10000.0}
FALCON = {**SIZES, "multi_query": True, "parallel_attn": True, "alibi": False, "bias": False}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}

#: Those that are only told by their logits, see test_gguf_goldens.
BY_LOGITS = {"arcee", "cohere2", "ernie4_5", "exaone4", "glm4", "granitemoe", "granitemoehybrid"}
BY_LOGITS |= {"hunyuan_v1_dense", "mistral3", "nemotron", "olmo3", "olmoe", "seed_oss"}
BY_LOGITS |= {"qwen2_vl", "qwen3_vl", "deepseek_v2", "deepseek_v3"}
BY_LOGITS |= {"qwen2_vl", "qwen3_vl", "laguna", "lfm2", "qwen3_5_text"}
BY_LOGITS |= {"llama4_text", "ministral3", "lfm2_moe", "qwen3_5_moe_text", "qwen3_next"}
BY_LOGITS |= {"falcon_h1", "nemotron_h", "gemma4_unified_text"}

#: case → (model_type, fields of its config)
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", GPT2),
    "gpt2 untied": ("gpt2", GPT2 | UNTIED),
    "llama": ("llama", SIZES | UNTIED),
    "llama biases": ("llama", SIZES | TIED | {"attention_bias": True, "mlp_bias": True}),
    "llama head size": ("llama", SIZES | {"head_dim": 24}),
    "llama 3": ("llama", SIZES | {"head_dim": 64, "rope_parameters": LLAMA3}),
    "llama yarn": ("llama", SIZES | {"rope_parameters": YARN}),
    "llama linear": ("llama", SIZES | {"rope_parameters": LINEAR}),
    "mistral": ("mistral", SIZES | {"sliding_window": None}),
    "mixtral": ("mixtral", SIZES | EXPERTS),
    "qwen2": ("qwen2", SIZES | TIED),
    "qwen2 yarn": ("qwen2", SIZES | {"rope_parameters": YARN | {"attention_factor": 1.25}}),
    "qwen3": ("qwen3", SIZES | {"head_dim": 32}),
    "qwen3 moe": (
        "qwen3_moe",
        SIZES
        | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
        | {"norm_topk_prob": True, "head_dim": 32},
    ),
    "qwen2 moe": (
        "qwen2_moe",
        SIZES
        | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
        | {"shared_expert_intermediate_size": 48},
    ),
    "glm 4.5": (
        "glm4_moe",
        SIZES
        | {"n_routed_experts": 8, "num_experts_per_tok": 3, "moe_intermediate_size": 32}
        | {"routed_scaling_factor": 2.5, "attention_bias": True, "use_qk_norm": True}
        | {"n_group": 2, "topk_group": 1, "head_dim": 32, "num_nextn_predict_layers": 0},
    ),
    "minicpm3": (
        "minicpm3",
        SIZES
        | {"num_key_value_heads": 4, "kv_lora_rank": 24, "q_lora_rank": 40, "v_head_dim": None}
        | {"qk_nope_head_dim": 24, "qk_rope_head_dim": 8, "scale_emb": 12, "scale_depth": 1.4}
        | {"dim_model_base": 256, "pad_token_id": 0, "rms_norm_eps": 1e-5}
        | {"rope_parameters": {**LONG_OF_ALL, "original_max_position_embeddings": 128}},
    ),
    "minimax m2": ("minimax_m2", SIZES | EXPERTS | {"head_dim": 32, "rotary_dim": 16}),
    "ernie 4.5 moe": (
        "ernie4_5_moe",
        SIZES
        | {"moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 32}
        | {"moe_layer_end_index": 2},
    ),
    "gemma": ("gemma", SIZES | {"head_dim": 32}),
    "gemma2": (
        "gemma2",
        SIZES | {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 8},
    ),
    "gemma3": (
        "gemma3_text",
        SIZES
        | {"num_hidden_layers": 7, "head_dim": 32, "query_pre_attn_scalar": 32}
        | {"sliding_window": 8}
        | {"rope_parameters": {"full_attention": LINEAR, "sliding_attention": NEAR}},
    ),
    # Scores are not divided by the size of heads: of large ones they make more of all rounding.
    "gemma4 mixture": (
        "gemma4_text",
        SIZES
        | {"head_dim": 8, "global_head_dim": 16, "sliding_window": 8, "num_hidden_layers": 2}
        | {"num_global_key_value_heads": 1, "attention_k_eq_v": True}
        | {"layer_types": ["sliding_attention", "full_attention"], "num_kv_shared_layers": 0}
        | {"hidden_size_per_layer_input": 0, "enable_moe_block": True, "num_experts": 4}
        | {"top_k_experts": 2, "moe_intermediate_size": 32, "final_logit_softcapping": 30.0},
    ),
    "phi": ("phi", SIZES | {"num_key_value_heads": 4, "intermediate_size": 256}),
    "phi3": ("phi3", SIZES | {"sliding_window": 8, "pad_token_id": 0}),
    "phi3 long": (
        "phi3",
        SIZES
        | {"pad_token_id": 0, "original_max_position_embeddings": 32}
        | {"rope_parameters": LONG | {"original_max_position_embeddings": 32}},
    ),
    "olmo2": ("olmo2", SIZES),
    "stablelm": ("stablelm", SIZES | {"use_qkv_bias": True}),
    "stablelm 12B": (
        "stablelm",
        SIZES | {"use_parallel_residual": True, "qk_layernorm": True},
    ),
    "starcoder2": ("starcoder2", SIZES | {"sliding_window": None}),
    "starcoder2 unbiased": ("starcoder2", SIZES | {"sliding_window": None, "use_bias": False}),
    "granite": (
        "granite",
        SIZES
        | {"embedding_multiplier": 12.0, "logits_scaling": 8.0}
        | {"residual_multiplier": 0.22, "attention_multiplier": 0.25},
    ),
    "cohere": ("cohere", SIZES),
    "cohere plus": ("cohere", SIZES | {"use_qk_norm": True, "logit_scale": 0.8}),
    "smollm3": ("smollm3", SIZES | {"num_hidden_layers": 5, "pad_token_id": 0}),
    "neox": ("gpt_neox", NEOX | {"use_parallel_residual": True}),
    "neox serial": (
        "gpt_neox",
        NEOX
        | {"use_parallel_residual": False}
        | {"rope_parameters": {"rope_theta": 10000.0, "partial_rotary_factor": 0.5}},
    ),
    "bloom": ("bloom", BLOOM),
    "falcon 7B": ("falcon", FALCON | {"new_decoder_architecture": False}),
    "falcon 40B": ("falcon", FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon 11B": (
        "falcon",
        FALCON
        | {"new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1},
    ),
    "gpt-oss": (
        "gpt_oss",
        SIZES
        | EXPERTS
        | {"head_dim": 16, "sliding_window": 8, "num_hidden_layers": 3}
        | {"rope_parameters": YARN | {"truncate": False, "beta_slow": 1.0}},
    ),
}


#: Families no golden of which is as files of their architecture are: test_gguf_goldens.py.
UNTESTED = {
    "falcon",
    "gemma2",
    "gemma3_text",
    "gpt_oss",
    "minicpm3",
    "phi",
    "qwen3_moe",
    "smollm3",
    "qwen2_moe",
}
#: They have every mechanism that these cases have.
FEW = cover(
    {
        case: mechanisms(read_spec(ConfigFields(case, fields | {"model_type": kind}))[1])
        for case, (kind, fields) in CASES.items()
    }
)


def checkpoint(
    case: str,
    directory: Path,
    sizes: Mapping[str, int] = MappingProxyType({}),
    spread: float = 0.2,
) -> torch.nn.Module:
    """A random model of a case, saved as transformers publishes it.

    sizes: what those of its fields are that it names; spread: of its weights.
    """
    kind, fields = CASES[case]
    fields = fields | {name: size for name, size in sizes.items() if name in fields}
    torch.manual_seed(sum(case.encode()))
    config = AutoConfig.for_model(kind, **fields)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    for name, parameter in sorted(model.named_parameters()):
        # Norms of all ones and biases of all zeros would hide a mistake.
        noise = torch.randn(parameter.shape) * spread
        is_norm = "norm" in name and name.endswith("weight")
        parameter.data.copy_(1 + noise if is_norm else noise)
    for name, buffer in sorted(model.named_buffers()):
        if name.endswith("e_score_correction_bias"):
            buffer.data.copy_(torch.randn(buffer.shape) * spread)
    model = model.float().eval()
    model.save_pretrained(directory, max_shard_size="100MB")
    return model


def imported(path: Path, target: Path) -> Path:
    target.mkdir()
    for _ in convert(path, target, "tiny", "a test"):
        pass
    return target


@pytest.fixture
def exported(tmp_path: Path):
    """A case's model, its directory as transformers writes it, and the one that comes back."""

    def make(case: str, **options: Any) -> tuple[torch.nn.Module, Path, Path]:
        model = checkpoint(case, tmp_path / "published")
        path = tmp_path / "model.gguf"
        gguf_export.export(tmp_path / "published", path, add_tokenizer, **options)
        return model, tmp_path / "published", imported(path, tmp_path / "imported")

    return make


@few_of(CASES, {*FEW, *(case for case, (kind, _) in CASES.items() if kind in UNTESTED)})
def test_it_comes_back(exported, case: str) -> None:
    """Catches a tensor lost, renamed or with its rows in another order; a setting that is lost.

    In every run where a mechanism is new; test_gguf_goldens.py has the logits of every family.
    """
    model, published, back = exported(case)
    found, wanted = gguf_export.load(back), gguf_export.load(published)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].shape == tensor.shape, name
        # One more than Gemma's norms is what its file holds.
        near = CASES[case][0].startswith("gemma") and "norm" in name
        tolerance = 2 * torch.finfo(torch.float32).eps if near else 0.0
        assert torch.allclose(found[name], tensor, rtol=0, atol=tolerance), name
    again, info = AutoModelForCausalLM.from_pretrained(
        back, attn_implementation="eager", dtype=torch.float32, output_loading_info=True
    )
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    # Longer than every window and every original context.
    ids = torch.randint(0, VOCABULARY, (2, 60))
    with torch.no_grad():
        logits, expected = again.eval()(ids).logits, model(ids).logits
    assert torch.allclose(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("case", "key", "reason"),
    [
        ("mixtral", "llama.expert_count", "more than any model has"),
        ("qwen3 moe", "qwen3moe.expert_count", "more than any model has"),
        ("mixtral", "llama.expert_used_count", "experts of 4"),
        ("minicpm3", "minicpm3.rope.dimension_count", "turns 16000000 features"),
        ("stablelm 12B", "stablelm.attention.head_count", "cannot have|do not fit"),
        ("gemma", "gemma.block_count", "claims 16000000 blocks"),
        ("gpt-oss", "gpt-oss.attention.head_count_kv", "cannot have"),
        ("neox", "gptneox.rope.dimension_count", "turns 16000000 features"),
        ("bloom", "bloom.feed_forward_length", "feed_forward_length = 16000000"),
        ("falcon 40B", "falcon.attention.key_length", "settings ask for|value_length"),
    ],
)
def test_numbers_of_a_header_are_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, key: str, reason: str
) -> None:
    """Catches millions of takes for a header that claims millions of experts, heads or layers."""
    checkpoint(case, tmp_path / "published")

    def lying(writer: gguf.GGUFWriter) -> None:
        add_tokenizer(writer)
        for fields in writer.kv_data:
            fields.pop(key, None)
        writer.add_uint32(key, 16_000_000)

    gguf_export.export(tmp_path / "published", tmp_path / "model.gguf", lying)
    start = time.monotonic()
    with pytest.raises(ModelError, match=reason):
        imported(tmp_path / "model.gguf", tmp_path / "out")
    assert time.monotonic() - start < 5
    assert not list((tmp_path / "out").iterdir())


def test_what_corrects_a_choice_keeps_its_numbers(exported) -> None:
    """Catches a correction rounded with the weights: others would be chosen."""
    _, published, back = exported("glm 4.5", kind=gguf.GGMLQuantizationType.Q8_0)
    found, wanted = gguf_export.load(back), gguf_export.load(published)
    name = "model.layers.2.mlp.gate.e_score_correction_bias"
    assert found["model.norm.weight"].dtype == torch.bfloat16
    assert torch.equal(found[name], wanted[name])


def test_fused_queries_of_old_phi_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches rows of keys taken for queries in files of the first converters."""
    checkpoint("phi", tmp_path / "published")
    real = gguf_export.tensors

    def fused(config: dict[str, Any], state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        found = dict(real(config, state))
        for layer in range(SIZES["num_hidden_layers"]):
            for kind in ("weight", "bias"):
                parts = [found.pop(f"blk.{layer}.attn_{part}.{kind}") for part in "qkv"]
                found[f"blk.{layer}.attn_qkv.{kind}"] = np.concatenate(parts)
        yield from found.items()

    monkeypatch.setattr(gguf_export, "tensors", fused)
    gguf_export.export(tmp_path / "published", tmp_path / "model.gguf", add_tokenizer)
    found = gguf_export.load(imported(tmp_path / "model.gguf", tmp_path / "out"))
    wanted = gguf_export.load(tmp_path / "published")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_gates_and_ups_of_gemma4_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a gate taken for an up where a file has them as two stacks."""
    checkpoint("gemma4 mixture", tmp_path / "published")
    real = gguf_export.tensors

    def apart(config: dict[str, Any], state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, array in real(config, state):
            if "gate_up_exps" in name:
                gate, up = np.split(array, 2, axis=1)
                yield name.replace("gate_up", "gate"), gate
                yield name.replace("gate_up", "up"), up
            else:
                yield name, array

    monkeypatch.setattr(gguf_export, "tensors", apart)
    gguf_export.export(tmp_path / "published", tmp_path / "x.gguf", add_tokenizer)
    found = gguf_export.load(imported(tmp_path / "x.gguf", tmp_path / "out"))
    wanted = gguf_export.load(tmp_path / "published")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def test_qwen3_moe_that_saw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches keys of images that make a text model unknown, and settings read as another's."""
    arch = gguf.MODEL_ARCH.QWEN3VLMOE
    monkeypatch.setitem(gguf_export.ARCHITECTURES, "qwen3_moe", arch)
    checkpoint("qwen3 moe", tmp_path / "published")

    def seen(writer: gguf.GGUFWriter) -> None:
        add_tokenizer(writer)
        writer.add_rope_dimension_sections([8, 4, 4, 0])
        writer.add_num_deepstack_layers(3)

    gguf_export.export(tmp_path / "published", tmp_path / "x.gguf", seen)
    back = imported(tmp_path / "x.gguf", tmp_path / "out")
    found, wanted = gguf_export.load(back), gguf_export.load(tmp_path / "published")
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())
    config = json.loads((back / "config.json").read_text())
    assert (config["model_type"], config["norm_topk_prob"]) == ("qwen3_moe", True)


def test_every_architecture_is_tested() -> None:
    """Catches a new architecture without a round trip."""
    named = gguf_export.NAMED
    known = {
        named.get(kind) or gguf.MODEL_ARCH_NAMES[arch]
        for kind, arch in gguf_export.ARCHITECTURES.items()
    }
    assert known | {"granitehybrid", "nemotron_h_moe", "qwen3vlmoe"} == set(families.supported())
    assert {kind for kind, _ in CASES.values()} | BY_LOGITS == set(gguf_export.ARCHITECTURES)
