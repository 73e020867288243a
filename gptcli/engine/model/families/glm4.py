"""GLM-4 of 2025: norms before and after each block, half of each head turned by neighbours."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama, phi3
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import alike, rms_norm
from gptcli.engine.model.spec import LayerSpec, ModelSpec

SUPPORTS = "GLM-4-0414 and GLM-Z1 9B and 32B, text only"


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Glm4Config."""
    config = config.over({"head_dim": 128, "max_position_embeddings": 131072})
    base = llama.spec(config)
    turned = rope(config, base.head_dim, partial=0.5, interleaved=True)
    return replace(
        base,
        each_layer=alike(config, LayerSpec(turned)),
        norm=rms_norm(config, 1.5625e-7),
        qkv_bias=config.flag("attention_bias", True),
        out_bias=False,
        mlp_bias=False,
        norms="both",
    )


def rules(spec: ModelSpec) -> Rules:
    """Gate and up are one stored tensor."""
    return llama_names.rules(
        spec,
        mlp=phi3.fused_mlp("mlp.gate_up_proj", "mlp.down_proj"),
        attention_post_norm="post_self_attn_layernorm",
        mlp_post_norm="post_mlp_layernorm",
    )
