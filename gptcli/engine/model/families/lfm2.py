"""LFM2: short convolutions in most layers, attention in some."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.mixers import ShortConv
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rule, Rules
from gptcli.engine.model.size_fields import FULL
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec

SUPPORTS = "LFM2 and LFM2.5, dense"
CONV = "conv"
OTHER_NAMES = {
    "tie_embedding": "tie_word_embeddings",
    "block_ff_dim": "intermediate_size",
    "norm_eps": "rms_norm_eps",
}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Lfm2Config."""
    config = config.over(
        {
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": True,
            "max_position_embeddings": 128000,
            "rope_theta": 1e6,
        }
    )
    base = llama.spec(config)
    attends = LayerSpec(rope(config, base.head_dim, theta=1e6))
    taps, bias = config.count("conv_L_cache", 3), config.flag("conv_bias", False)
    mixes = LayerSpec(mixer=ShortConv(base.width, taps, bias))
    return replace(
        base,
        hidden=_hidden(config, base.hidden),
        each_layer=tuple(attends if kind == FULL else mixes for kind in kinds(config, base.layers)),
        head_norm=HeadNorm(base.norm, over="head"),
    )


def kinds(config: ConfigFields, layers: int) -> tuple[str, ...]:
    """What mixes in each layer: `layer_types`, else attention in those of `full_attn_idxs`."""
    found = config.words("layer_types", layers, (FULL, CONV))
    if found is not None:
        return found
    stated, full = config.get("full_attn_idxs") is not None, config.indices("full_attn_idxs")
    return tuple(FULL if i in full or not stated else CONV for i in range(layers))


def _hidden(config: ConfigFields, stated: int) -> int:
    """Features inside the MLP: two thirds of what is stated, rounded up, where it is adjusted."""
    if not config.flag("block_auto_adjust_ff_dim", True):
        return stated
    adjusted = int(config.number("block_ffn_dim_multiplier", 1.0) * int(2 * stated / 3))
    multiple = config.count("block_multiple_of", 256)
    return -(-adjusted // multiple) * multiple


def rules(spec: ModelSpec) -> Rules:
    """Names of its own for the norms, the MLP and the convolutions."""
    return named(spec, llama_names.mlp_rules(spec, "w1", "w3", "w2", block="feed_forward"))


def named(spec: ModelSpec, mlp: list[Rule]) -> Rules:
    """All but the MLPs, and these."""
    return llama_names.rules(
        spec,
        attention=[
            *llama_names.attention_rules(spec, "out_proj"),
            *llama_names.short_conv_rules(spec),
        ],
        mlp=mlp,
        head_norms=llama_names.head_norm_rules(spec, "q_layernorm", "k_layernorm"),
        attention_norm="operator_norm",
        mlp_norm="ffn_norm",
        final_norm="embedding_norm",
    )
