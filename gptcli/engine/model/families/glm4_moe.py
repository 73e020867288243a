"""GLM-4.5: dense layers, then mixtures with a shared expert; experts are chosen by sigmoids."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.expert_fields import after_dense, corrected
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rules, next_tokens
from gptcli.engine.model.size_fields import alike, rms_norm
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec

SUPPORTS = "GLM-4.5, GLM-4.5-Air, GLM-4.6 and GLM-4.7"
OTHER_NAMES = {"num_local_experts": "n_routed_experts"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Glm4MoeConfig."""
    base = llama.spec(config.over({"max_position_embeddings": 131072}))
    norm = rms_norm(config, 1e-5)
    turned = LayerSpec(rope(config, base.head_dim, partial=0.5))
    return replace(
        base,
        each_layer=after_dense(config, alike(config, turned), 1),
        norm=norm,
        out_bias=False,
        mlp_bias=False,
        head_norm=HeadNorm(norm, over="head") if config.flag("use_qk_norm", False) else None,
        experts=corrected(config, count=128, chosen=8, hidden=1408, normalised=True, scale=1.0),
    )


def rules(spec: ModelSpec) -> Rules:
    """One more layer may be stored, which guesses the token after the next."""
    mlp = llama_names.mixed_rules(spec, exact=True)
    return replace(
        llama_names.rules(spec, mlp=mlp), beside=(next_tokens(rf"layers\.{spec.layers}\..*"),)
    )
