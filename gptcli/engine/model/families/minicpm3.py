"""MiniCPM3: latent attention, and multipliers of the embedding, the updates and the logits."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import latent_fields, llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "MiniCPM3-4B"
_DEFAULTS = {
    "kv_lora_rank": 256,
    "qk_nope_head_dim": 64,
    "qk_rope_head_dim": 32,
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": True,
}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' MiniCPM3Config.

    A null leaves a multiplier out, but for that of the embedding.
    """
    heads, layers = config.count("num_attention_heads"), config.layers("num_hidden_layers")
    value = max(1, config.count("hidden_size") // heads)
    base = latent_fields.spec(
        config, _DEFAULTS | {"v_head_dim": value}, query_rank=768, interleaved=False
    )
    depth = config.over({} if config.has("scale_depth") else {"scale_depth": 1.4})
    logits = config.over({} if config.has("dim_model_base") else {"dim_model_base": 256})
    return replace(
        base,
        embedding_scale=config.number("scale_emb", 12.0),
        residual_scale=depth.number("scale_depth", layers**0.5) / layers**0.5,
        logit_scale=logits.count("dim_model_base", base.width) / base.width,
    )


def rules(spec: ModelSpec) -> Rules:
    """Named as DeepSeek's and Llama's."""
    return llama_names.rules(spec, attention=latent_fields.attention_rules(spec))
