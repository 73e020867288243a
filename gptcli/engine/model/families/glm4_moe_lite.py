"""GLM-4.7-Flash: DeepSeek-V3's layers, of which the first is dense."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import latent_fields
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.expert_fields import after_dense, corrected
from gptcli.engine.model.families import deepseek_v3
from gptcli.engine.model.spec import LayerSpec, ModelSpec

SUPPORTS = "GLM-4.7-Flash"
OTHER_NAMES = {"num_local_experts": "n_routed_experts", "head_dim": "qk_rope_head_dim"}
_DEFAULTS = latent_fields.DEFAULTS | {
    "qk_nope_head_dim": 192,
    "v_head_dim": 256,
    "max_position_embeddings": 202752,
    "rms_norm_eps": 1e-5,
}

rules = deepseek_v3.rules


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Glm4MoeLiteConfig."""
    interleaved = config.flag("rope_interleave", True)
    base = latent_fields.spec(config, _DEFAULTS, query_rank=768, interleaved=interleaved)
    experts = corrected(config, count=64, chosen=4, hidden=1536, normalised=True, scale=1.8)
    each_layer = _mixed(config, base.each_layer)
    return replace(base, each_layer=each_layer, mlp_bias=False, experts=experts)


def _mixed(config: ConfigFields, layers: tuple[LayerSpec, ...]) -> tuple[LayerSpec, ...]:
    kinds = config.words("mlp_layer_types", len(layers), ("dense", "sparse"))
    if kinds is None:
        return after_dense(config, layers, 1)
    pairs = zip(layers, kinds, strict=True)
    return tuple(replace(layer, mixture=kind == "sparse") for layer, kind in pairs)
