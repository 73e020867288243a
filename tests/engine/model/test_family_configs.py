"""config.json in its older spellings, and what a family refuses by name."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import NOT_SUPPORTED, family_of, read_spec, supported
from gptcli.engine.model.rotations import LinearScaling, Rope
from gptcli.engine.model.spec import LayerSpec, ModelSpec
from gptcli.errors import ModelError
from tests.engine.helpers import CASES, GOLDENS
from tests.golden_cases import CASES as MADE
from tests.golden_cases import FULL, SLIDING
from tests.sweeps import in_turn

Fields = dict[str, Any]


def fields_of(case: str) -> Fields:
    found: Fields = json.loads((GOLDENS / case / "config.json").read_text())
    return found


def spec_of(fields: Fields) -> ModelSpec:
    return read_spec(ConfigFields("config.json", fields))[1]


def flat(fields: Fields) -> Fields:
    """As configs were before transformers 5: rope fields by themselves, `torch_dtype`."""
    old = {name: value for name, value in copy.deepcopy(fields).items() if name != "dtype"}
    old["torch_dtype"] = fields.get("dtype", "float32")
    rope = dict(old.pop("rope_parameters", None) or {})
    if FULL in rope:
        old["rope_theta"] = rope[FULL].pop("rope_theta")
        old["rope_local_base_freq"] = rope[SLIDING]["rope_theta"]
        rope = rope[FULL]
    if "rope_theta" in rope:
        base = "rotary_emb_base" if old["model_type"] == "gpt_neox" else "rope_theta"
        old[base] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        part = "rotary_pct" if old["model_type"] == "gpt_neox" else "partial_rotary_factor"
        old[part] = rope.pop("partial_rotary_factor")
    if rope:
        rope["type"] = rope.pop("rope_type")
        old["rope_scaling"] = None if rope["type"] == "default" else rope
    if "_sliding_window_pattern" in old:
        old["sliding_window_pattern"] = old.pop("_sliding_window_pattern")
    if isinstance(old.get("text_config"), dict):
        old["text_config"] = flat(old["text_config"])
    return old


# Those have only been since.
NESTED_ONLY = ("gemma4", "laguna")


@in_turn("case", [case for case in CASES if not case.startswith(NESTED_ONLY)])
def test_flat_fields_mean_the_same(case):
    """Catches a rope, a window or a fraction that is read in one of two spellings only."""
    fields = fields_of(case)
    old = flat(fields)
    assert "rope_parameters" not in old and "dtype" not in old
    assert spec_of(old) == spec_of(fields)


#: Fields that came later than the first checkpoints, which had a rule in their place.
LATER = {
    "gemma2/capped": "layer_types",
    "gemma3_text/two_ropes": "layer_types",
    "gpt_oss/plain": "layer_types",
    "qwen2/windows": "layer_types",
    "smollm3/no_rope": "no_rope_layers",
    "falcon/grouped": "num_ln_in_parallel_attn",
    "mixtral/all": "head_dim",
    "bloom/tied": "pretraining_tp",
    "cohere2/mixed": "layer_types",
    "exaone4/mixed": "layer_types",
    "olmo3/mixed": "layer_types",
}


@pytest.mark.parametrize("case", LATER)
def test_rules_stand_for_lists_that_are_absent(case):
    """Catches a pattern of layers that begins one too late, or with the other kind."""
    fields = fields_of(case)
    assert LATER[case] in fields or case in ("falcon/grouped", "mixtral/all")
    less = {name: value for name, value in fields.items() if name != LATER[case]}
    assert spec_of(less) == spec_of(fields)


@in_turn("case", CASES)
def test_configs_read_back_as_they_were_made(case):
    """Catches a field of a golden that transformers saves under a name that we do not read.

    Each case is read twice: as saved, and from the fields that it was made with.
    """
    made = {"model_type": MADE[case].kind, **MADE[case].fields}
    assert spec_of(made) == spec_of(fields_of(case))


def test_patterns_of_letters():
    """Catches a text that is begun anew at another layer, and a window in the last."""
    fields = fields_of("exaone4/mixed") | {"layer_types": None, "num_hidden_layers": 6}
    spec = spec_of(fields | {"sliding_window_pattern": "LLG"})
    assert [each.window for each in spec.each_layer] == [7, 7, None, 7, 7, None]
    spec = spec_of(fields | {"sliding_window_pattern": "L"})
    assert [each.window for each in spec.each_layer] == [7] * 5 + [None]
    assert [each.rope is None for each in spec.each_layer] == [False] * 5 + [True]


def test_layers_whose_numbers_begin_with_zeros():
    """Catches sizes of layers that are lost where transformers numbers more than ten."""
    fields = fields_of("gemma4_text/told") | {"num_hidden_layers": 11, "num_kv_shared_layers": 0}
    fields |= {"layer_types": [FULL] * 11, "per_layer_config": {"00": {"head_dim": 10}}}
    fields["per_layer_config"] |= {"04": {"head_dim": 12}, "10": {"head_dim": 14}}
    found = [each.shape.head_dim for each in spec_of(fields).each_layer if each.shape]
    assert found == [10, 8, 8, 8, 12, 8, 8, 8, 8, 8, 14]


def test_alpha_beside_dynamic_scaling():
    """Catches a base that grows with the context as well, overflows, or is left as it is."""
    alpha = fields_of("hunyuan_v1_dense/alpha")
    grown = spec_of(alpha).each_layer[0].rope
    assert grown == Rope(500.0 * 20.0 ** (8 / 6), 8)
    plain = copy.deepcopy(alpha)
    del plain["rope_parameters"]["alpha"]
    scaled = spec_of(plain).each_layer[0].rope
    assert scaled is not None and scaled.theta == 500.0 and scaled.scaling is not None
    for bad in (0, -1, 1e300, "two", True):
        alpha["rope_parameters"]["alpha"] = bad
        if bad == 0:
            assert spec_of(alpha).each_layer[0].rope == scaled
            continue
        with pytest.raises(ModelError, match="alpha"):
            spec_of(alpha)


def test_minimal_published_configs():
    """Catches a default that is missing: published configs leave out what they share with it."""
    gemma = {
        "model_type": "gemma3",
        "text_config": {
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "model_type": "gemma3_text",
            "num_hidden_layers": 34,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
            "sliding_window": 1024,
        },
    }
    spec = spec_of(gemma)
    assert (spec.heads, spec.kv_heads, spec.head_dim, spec.vocab) == (8, 4, 256, 262208)
    wide = Rope(1e6, 256, LinearScaling(8.0))
    assert spec.each_layer[5] == LayerSpec(wide) and spec.tied
    assert spec.each_layer[4] == LayerSpec(Rope(1e4, 256), 1024)
    gpt2 = {"model_type": "gpt2"}
    assert (spec_of(gpt2).width, spec_of(gpt2).layers) == (768, 12)
    legacy = {"model_type": "gemma", "hidden_act": "gelu", "hidden_activation": None}
    assert spec_of(legacy).activation == "gelu_tanh"
    oss = {"model_type": "gpt_oss", "hidden_size": 64, "intermediate_size": 64}
    oss |= {"num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 9}
    rope = spec_of(oss | {"head_dim": 32}).each_layer[0].rope
    published = {
        "rope_type": "yarn",
        "factor": 32.0,
        "truncate": False,
        "original_max_position_embeddings": 4096,
    }
    stated = spec_of(oss | {"head_dim": 32, "rope_scaling": published})
    assert rope == stated.each_layer[0].rope


REFUSED: list[tuple[str, Fields, tuple[str, ...]]] = [
    ("opt/tied", {"do_layer_norm_before": False}, ("do_layer_norm_before", "false")),
    ("opt/tied", {"word_embed_proj_dim": 8}, ("word_embed_proj_dim", "8")),
    ("opt/tied", {"_remove_final_layer_norm": True}, ("_remove_final_layer_norm",)),
    ("opt/tied", {"layer_norm_elementwise_affine": False}, ("layer_norm_elementwise_affine",)),
    ("opt/tied", {"num_attention_heads": 3}, ("num_attention_heads", "does not divide")),
    (
        "bloom/tied",
        {"apply_residual_connection_post_layernorm": True},
        ("apply_residual_connection_post_layernorm",),
    ),
    ("bloom/tied", {"n_head": 3}, ("n_head", "does not divide")),
    ("falcon/grouped", {"parallel_attn": False}, ("parallel_attn", "new_decoder_architecture")),
    ("falcon/grouped", {"num_ln_in_parallel_attn": 3}, ("num_ln_in_parallel_attn", "3")),
    ("falcon/one_kv_head", {"num_ln_in_parallel_attn": 2}, ("num_ln_in_parallel_attn", "2")),
    ("falcon/grouped", {"num_kv_heads": 3}, ("num_kv_heads", "does not divide")),
    ("falcon/grouped", {"activation": "swiglu"}, ("activation", "swiglu")),
    ("gptj/part_rotated", {"rotary_dim": None}, ("rotary_dim", "null")),
    ("gptj/part_rotated", {"rotary_dim": 10}, ("rotary_dim", "10")),
    ("gptj/part_rotated", {"rotary_dim": 3}, ("rotary_dim", "even")),
    ("gpt_neo/mixed", {"attention_types": [[["local"], 1]]}, ("attention_types", "2 layers")),
    ("gpt_neo/mixed", {"attention_types": [[["sparse"], 2]]}, ("attention_types", "global")),
    ("gpt_neo/mixed", {"attention_types": 7}, ("attention_types", "must be")),
    ("gpt_neo/mixed", {"attention_types": [[["local"], 10**9]]}, ("attention_types", "not 3")),
    ("mixtral/all", {"num_experts_per_tok": 5}, ("num_experts_per_tok", "4 experts")),
    ("qwen3_moe/untied", {"num_experts_per_tok": 5}, ("num_experts_per_tok", "4 experts")),
    ("qwen3_moe/untied", {"mlp_only_layers": "all"}, ("mlp_only_layers", "list")),
    ("gpt_oss/plain", {"num_experts_per_tok": 5}, ("num_experts_per_tok", "4 experts")),
    ("gpt_oss/plain", {"swiglu_alpha": 1.5}, ("swiglu_alpha", "1.5")),
    ("gpt_oss/plain", {"hidden_act": "gelu"}, ("hidden_act", "gelu")),
    ("gpt_oss/plain", {"layer_types": [SLIDING, "chunked_attention"]}, ("chunked_attention",)),
    ("gpt_oss/plain", {"layer_types": [SLIDING]}, ("layer_types", "list of 2")),
    ("gpt_oss/plain", {"sliding_window": None}, ("sliding_window", "missing")),
    ("gemma/tied", {"use_bidirectional_attention": True}, ("use_bidirectional_attention",)),
    ("gemma2/capped", {"attn_logit_softcapping": 0}, ("attn_logit_softcapping", "more than 0")),
    ("gemma3_text/two_ropes", {"attn_logit_softcapping": 5.0}, ("attn_logit_softcapping", "5.0")),
    (
        "gemma3_text/two_ropes",
        {"use_bidirectional_attention": True},
        ("use_bidirectional_attention",),
    ),
    ("gemma4_text/mixture", {"top_k_experts": 7}, ("3 experts",)),
    ("gemma4_text/mixture", {"use_double_wide_mlp": True}, ("use_double_wide_mlp", "true")),
    ("gemma4_text/options", {"enable_moe_block": True}, ("num_experts", "missing")),
    ("gemma4_text/told", {"num_kv_shared_layers": 3}, ("num_kv_shared_layers", FULL, "read")),
    ("gemma4_text/told", {"use_bidirectional_attention": "all"}, ("use_bidirectional",)),
    ("gemma4_text/told", {"vocab_size_per_layer_input": 60}, ("60", "61 tokens")),
    ("gemma4_text/told", {"per_layer_config": {"1": {"num_attention_heads": 3}}}, ("heads", "3")),
    ("gemma4_text/told", {"per_layer_config": {"1": {"num_key_value_heads": 3}}}, ("3", "2 heads")),
    (
        "gemma4_text/told",
        {"rope_parameters": {FULL: {"rope_type": "proportional", "partial_rotary_factor": 0.01}}},
        ("partial_rotary_factor", "12 features"),
    ),
    ("gemma3/vision", {"text_config": None}, ("text_config", "missing")),
    ("gemma3/vision", {"text_config": 3}, ("text_config", "object")),
    ("qwen2/windows", {"layer_types": [FULL, FULL, "linear_attention"]}, ("linear_attention",)),
    ("qwen2/windows", {"use_sliding_window": False}, ("sliding_window", "missing")),
    ("smollm3/options", {"no_rope_layers": [0, 2]}, ("no_rope_layers", "true and false")),
    ("smollm3/options", {"no_rope_layers": [0]}, ("no_rope_layers", "list of 2")),
    ("granite/untied", {"logits_scaling": 0}, ("logits_scaling", "more than 0")),
    ("phi3/longrope", {"rope_parameters": {"rope_type": "longrope"}}, ("short_factor",)),
    ("llama/tied", {"rope_parameters": {FULL: {}, SLIDING: {}}}, (FULL, "rope of its own")),
    ("granitemoehybrid/dense", {"num_local_experts": 3}, ("num_experts_per_tok", "from 1")),
    ("granitemoehybrid/mamba", {"mamba_n_heads": 5}, ("mamba_n_heads", "does not divide")),
    ("granitemoehybrid/mamba", {"mamba_n_groups": 3}, ("mamba_n_groups", "does not divide")),
    ("granitemoehybrid/mamba", {"mamba_d_head": 3}, ("mamba_d_head", "must be 8")),
    ("bamba/plain", {"time_step_limit": [0.9, 0.1]}, ("time_step_limit", "nothing")),
    ("bamba/plain", {"time_step_limit": 3}, ("time_step_limit", "two numbers")),
    ("bamba/plain", {"attn_layer_indices": [2]}, ("attn_layer_indices", "2 layers")),
    ("bamba/plain", {"layers_block_type": [FULL, FULL]}, ("attn_layer_indices", "contradicts")),
    ("bamba/plain", {"hidden_act": "gelu"}, ("hidden_act", "gelu")),
    ("falcon_h1/normed", {"attention_in_multiplier": 2.0}, ("attention_bias", "multiplier")),
    ("falcon_h1/normed", {"ssm_in_multiplier": 2.0}, ("mamba_proj_bias", "multiplier")),
    ("falcon_h1/multiplied", {"ssm_multipliers": [1.0]}, ("ssm_multipliers", "list of 5")),
    # Powers of large numbers are an error of Python's, products of them infinite.
    ("falcon_h1/multiplied", {"attention_in_multiplier": 1e200}, ("attention_in", "finite")),
    (
        "deepseek_v3/groups",
        {"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "mscale_all_dim": 1e300}},
        ("mscale_all_dim", "finite"),
    ),
    ("nemotron_h/dense", {"layers_block_type": "", "hybrid_override_pattern": "MX"}, ("M * - E",)),
    ("nemotron_h/dense", {"layers_block_type": "mlp"}, ("layers_block_type", "list")),
    ("nemotron_h/dense", {"sliding_window": 5}, ("sliding_window", "5")),
    ("nemotron_h/dense", {"attention_bias": True}, ("attention_bias", "true")),
    ("nemotron_h/mixture", {"mlp_bias": True}, ("mlp_bias", "true")),
    ("granitemoehybrid/dense", {"position_embedding_type": "alibi"}, ("alibi",)),
    ("olmoe/plain", {"clip_qkv": 8.0}, ("clip_qkv", "8.0")),
    ("cohere2/mixed", {"use_qk_norm": True}, ("use_qk_norm", "true")),
    ("cohere2/mixed", {"use_parallel_block": False}, ("use_parallel_block", "false")),
    ("cohere2/mixed", {"rotary_pct": 0.5}, ("rotary_pct", "0.5")),
    ("cohere2/mixed", {"sliding_window": None}, ("sliding_window", "missing")),
    ("exaone4/mixed", {"layer_types": None, "sliding_window_pattern": "LLX"}, ("L and G",)),
    ("exaone4/mixed", {"layer_types": None, "sliding_window_pattern": ""}, ("L and G",)),
    ("hunyuan_v1_dense/alpha", {"use_cla": True}, ("use_cla", "true")),
    ("hunyuan_v1_dense/alpha", {"use_qk_norm": False}, ("use_qk_norm", "false")),
    ("nemotron/plain", {"hidden_act": "relu3"}, ("hidden_act", "relu3")),
    ("qwen3_vl/vision", {"text_config": 3}, ("text_config", "object")),
]


@pytest.mark.parametrize(("case", "change", "words"), REFUSED)
def test_refused_by_name(case, change, words):
    """Catches a feature that is ignored: the model would speak, and speak nonsense."""
    with pytest.raises(ModelError) as caught:
        spec_of(fields_of(case) | change)
    line = str(caught.value)
    assert line.startswith("config.json") and "\n" not in line
    assert all(word in line for word in words), line


def test_other_model_types_are_refused_with_the_list():
    """Catches a family that half exists: a helper's file name, or one that was never proved."""
    for name in ("unknown", "fields", "llama_names", "rope_fields"):
        with pytest.raises(ModelError, match=f"{name}.*supported: arcee, bamba, bloom, cohere"):
            family_of(ConfigFields("config.json", {"model_type": name}))
    for name, reason in NOT_SUPPORTED.items():
        with pytest.raises(ModelError, match=f"{name}' is not supported: {re.escape(reason)}"):
            family_of(ConfigFields("config.json", {"model_type": name}))
    assert set(supported()) == {case.kind for case in MADE.values()}
