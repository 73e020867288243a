"""Cohere: LayerNorm without a bias, interleaved RoPE, blocks side by side, scaled logits."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.size_fields import alike
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec, NormSpec

SUPPORTS = "Command R and R+ (2024), Aya 23 and Aya Expanse 8B"

rules = llama.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' CohereConfig.

    `model_max_length` is what a model was made for, where it is more than the other length.
    """
    base = llama.spec(config)
    norm = NormSpec("layernorm", config.number("layer_norm_eps", 1e-5))
    turned = rope(config, base.head_dim, theta=500000.0, interleaved=True)
    by_head = HeadNorm(norm, over="each_head")
    return replace(
        base,
        context=max(base.context, config.count("model_max_length", 1)),
        each_layer=alike(config, LayerSpec(turned)),
        norm=norm,
        tied=config.flag("tie_word_embeddings", True),
        mlp_bias=False,
        head_norm=by_head if config.flag("use_qk_norm", False) else None,
        blocks="parallel_one_norm",
        logit_scale=config.number("logit_scale", 0.0625),
    )
