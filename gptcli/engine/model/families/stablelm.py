"""StableLM: Llama with LayerNorm and RoPE on part of each head."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rule, Rules
from gptcli.engine.model.size_fields import alike
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec, NormSpec

SUPPORTS = "StableLM 3B, StableLM 2 1.6B and 12B, Stable Code"


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' StableLmConfig."""
    base = llama.spec(config)
    norm = NormSpec("layernorm", config.number("layer_norm_eps", 1e-5), bias=True)
    by_head = HeadNorm(replace(norm, bias=False), over="each_head")
    parallel = config.flag("use_parallel_residual", False)
    return replace(
        base,
        each_layer=alike(config, LayerSpec(rope(config, base.head_dim, partial=0.25))),
        norm=norm,
        qkv_bias=config.flag("use_qkv_bias", False),
        out_bias=False,
        mlp_bias=False,
        head_norm=by_head if config.flag("qk_layernorm", False) else None,
        blocks="parallel_one_norm" if parallel else "serial",
    )


def rules(spec: ModelSpec) -> Rules:
    """The norm of each head is stored by itself."""
    norms = [
        Rule(
            f"layers.{{i}}.self_attn.{stored}.norms.{{n}}.weight",
            f"layers.{{i}}.attention.{ours}.weight",
            members=heads,
        )
        for stored, ours, heads in (
            ("q_layernorm", "query_norm", spec.heads),
            ("k_layernorm", "key_norm", spec.kv_heads),
        )
    ]
    return llama_names.rules(spec, head_norms=norms)
