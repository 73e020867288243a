"""Qwen3.5, dense: three layers with a gated delta rule for each one with attention.

Where memories share queries and keys, the converter lets those of each follow each other instead of
standing together, so that ggml may repeat keys as a whole (`_reorder_v_heads` in its qwen.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gptcli.formats.gguf.taken import TurnOrder
from gptcli.models.gguf import rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import qwen2, qwen3
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK, LAYER

FURTHER = "nextn_predict_layers"
_STATE = frozenset(f"ssm.{name}" for name in ("conv_kernel", "state_size", "group_count"))
_STATE |= {"ssm.time_step_rank", "ssm.inner_size"}
_LAYERS = frozenset({"full_attention_interval", "attention.recurrent_layers", FURTHER})
KEYS = qwen2.KEYS | _STATE | _LAYERS
NORMS = {"input_layernorm": "attn_norm", "post_attention_layernorm": "post_attention_norm"}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `qwen35` file. Raises ModelError for what is not supported, by name."""
    fields.only(KEYS | {qwen2.SECTIONS})
    size, unused = trunk(fields)
    kinds = layer_kinds(fields, size.layers)
    config = config_of(fields, size, kinds, "qwen3_5_text", "Qwen3_5ForCausalLM")
    config |= linear_config(fields)

    def takes(layer: int) -> list[Take]:
        attends = kinds[layer] == "full_attention"
        mixer = attention(size) if attends else recurrence(size, config)
        return [*layout.norms(size.width, NORMS, shift=-1), *mixer, *layout.gated_mlp(size)]

    return ConversionPlan(config, layout.whole(size, takes, final_shift=-1), unused)


def config_of(
    fields: Fields, size: Sizes, kinds: list[str], model_type: str, architecture: str
) -> dict[str, Any]:
    """The fields of config.json of all but memories and mixtures."""
    return {
        **sizes.config(size, model_type, architecture, "silu"),
        "attention_bias": False,
        "head_dim": size.head_dim,
        "layer_types": kinds,
        "partial_rotary_factor": rope.share(fields, size.head_dim),
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        **rope.fields_of(fields, size.head_dim, 1e7),
    }


def trunk(fields: Fields) -> tuple[Sizes, frozenset[str]]:
    """The sizes without the layers that predict further tokens, and the tensors of these."""
    size, further = sizes.read(fields), fields.get(FURTHER) or 0
    if not isinstance(further, int) or not 0 <= further < size.layers:
        raise fields.error(f"{fields.arch}.{FURTHER} is {further}, of {size.layers} blocks")
    size = replace(size, layers=size.layers - further)
    starts = tuple(f"blk.{size.layers + at}." for at in range(further))
    unused = (name for name in fields.header.tensors if name.startswith(starts))
    return size, frozenset(unused if further else ())


def layer_kinds(fields: Fields, layers: int) -> list[str]:
    """What mixes in each layer. Raises ModelError for a list of another length."""
    found = fields.header.fields.get(f"{fields.arch}.attention.recurrent_layers")
    if found is None:
        every = fields.count("full_attention_interval", 4)
        found = [(layer + 1) % every != 0 for layer in range(layers)]
    if not isinstance(found, list) or len(found) < layers:
        raise fields.error(f"{fields.arch}.attention.recurrent_layers is not a list of its layers")
    return ["linear_attention" if each else "full_attention" for each in found[:layers]]


def linear_config(fields: Fields) -> dict[str, Any]:
    """The fields of config.json of the delta rule. Raises ModelError for sizes that cannot be."""
    heads, key_heads = fields.count("ssm.time_step_rank"), fields.count("ssm.group_count")
    inner = fields.count("ssm.inner_size")
    if heads % key_heads or inner % heads:
        raise fields.error(f"cannot have {heads} memories of {inner} with {key_heads} of keys")
    found = {
        "linear_conv_kernel_dim": fields.count("ssm.conv_kernel"),
        "linear_key_head_dim": fields.count("ssm.state_size"),
        "linear_num_key_heads": key_heads,
        "linear_num_value_heads": heads,
        "linear_value_head_dim": inner // heads,
    }
    return found if heads == key_heads else found | {"linear_value_heads": "by turns"}


def attention(size: Sizes) -> list[Take]:
    """Attention with a gate behind the queries of each head."""
    doubled = replace(size, heads=2 * size.heads)
    queries = layout.attention(doubled)[:1]
    return [*queries, *layout.attention(size)[1:], *qwen3.head_norms(size, shift=-1)]


def recurrence(size: Sizes, config: dict[str, Any]) -> list[Take]:
    """The delta rule of a layer."""
    theirs, width, heads = f"{LAYER}.linear_attn", size.width, config["linear_num_value_heads"]
    keys = config["linear_num_key_heads"] * config["linear_key_head_dim"]
    inner, taps = heads * config["linear_value_head_dim"], config["linear_conv_kernel_dim"]
    channels = 2 * keys + inner
    filters = (channels, taps)
    # Where heads stand by turns: of several numbers each, behind queries and keys, of one each.
    values = read = single = None
    if "linear_value_heads" in config:
        groups, size_of = config["linear_num_key_heads"], config["linear_value_head_dim"]
        values, read = TurnOrder(groups, size_of), TurnOrder(groups, size_of, 2 * keys)
        single = TurnOrder(groups, 1)
    return [
        *layout.linear(f"{theirs}.in_proj_qkv", f"{BLOCK}.attn_qkv", channels, width, heads=read),
        *layout.linear(f"{theirs}.in_proj_z", f"{BLOCK}.attn_gate", inner, width, heads=values),
        *layout.linear(f"{theirs}.in_proj_b", f"{BLOCK}.ssm_beta", heads, width, heads=single),
        *layout.linear(f"{theirs}.in_proj_a", f"{BLOCK}.ssm_alpha", heads, width, heads=single),
        Take(
            f"{theirs}.conv1d.weight",
            f"{BLOCK}.ssm_conv1d.weight",
            filters,
            stored=(channels, 1, taps),
            heads=read,
        ),
        Take(f"{theirs}.dt_bias", f"{BLOCK}.ssm_dt.bias", (heads,), heads=single),
        Take(f"{theirs}.A_log", f"{BLOCK}.ssm_a", (heads,), log=True, heads=single),
        *layout.norm(f"{theirs}.norm", f"{BLOCK}.ssm_norm", config["linear_value_head_dim"]),
        *layout.linear(
            f"{theirs}.out_proj", f"{BLOCK}.ssm_out", width, inner, heads=values, across=True
        ),
    ]
