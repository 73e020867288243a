"""Latent attention as DeepSeek's configs and checkpoints have it, and those of other families."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gptcli.engine.model import rope_fields
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.latents import Latents
from gptcli.engine.model.llama_names import OURS, where
from gptcli.engine.model.rules import Rule, linear
from gptcli.engine.model.size_fields import alike
from gptcli.engine.model.spec import LayerSpec, ModelSpec

#: Of the norms of latents, whatever the others have.
_EPS = 1e-6
#: Those of DeepSeek.
DEFAULTS: dict[str, Any] = {
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}


def spec(
    config: ConfigFields,
    defaults: dict[str, Any],
    *,
    query_rank: int | None,
    interleaved: bool = True,
) -> ModelSpec:
    """Llama's fields, with latent attention in every layer.

    defaults: the family's, of fields that may be absent or null; query_rank: of the one that says
    something by a null.
    """
    config = config.over(defaults)
    turned = config.count("qk_rope_head_dim")
    layer = LayerSpec(rope_fields.rope(config, turned, interleaved=interleaved))
    base = llama.spec(config.over({"head_dim": turned}), alike(config, layer))
    if base.kv_heads != base.heads:
        raise config.bad("num_key_value_heads", f"must be that of the heads, {base.heads}")
    if config.has("q_lora_rank"):
        query_rank = config.optional_count("q_lora_rank")
    latents = Latents(
        rank=config.count("kv_lora_rank"),
        plain=config.count("qk_nope_head_dim"),
        turned=turned,
        value=config.count("v_head_dim"),
        eps=_EPS,
        query_rank=query_rank,
        bias=base.out_bias,
    )
    scale = (latents.plain + latents.turned) ** -0.5 * rope_fields.sharpening(config)
    return replace(
        base,
        kv_heads=1,
        head_dim=latents.key,
        latents=latents,
        attention_scale=scale,
        qkv_bias=False,
    )


def attention_rules(spec: ModelSpec) -> list[Rule]:
    """Their names: "a" makes latents, "b" makes something of them."""
    latents = spec.latents
    if latents is None:
        return []
    layers = where(spec, lambda each: each.attends)
    theirs, ours = "layers.{i}.self_attn", f"{OURS}.attention"

    def alike(stored: str, into: str, *, bias: bool = False) -> list[Rule]:
        return linear(f"{theirs}.{stored}", f"{ours}.{into}", bias=bias, layers=layers)

    queries = alike("q_proj", "query")
    if latents.query_rank is not None:
        queries = [
            *alike("q_a_proj", "query_latent", bias=latents.bias),
            *alike("q_a_layernorm", "query_latent_norm"),
            *alike("q_b_proj", "query"),
        ]
    both = f"{ours}.absorb.weight", f"{ours}.value.weight"
    stored, *apart = (f"{theirs}.{name}_proj.weight" for name in ("kv_b", "k_b", "v_b"))
    return [
        *queries,
        *alike("kv_a_proj_with_mqa", "latent", bias=latents.bias),
        *alike("kv_a_layernorm", "latent_norm"),
        Rule(
            stored,
            both,
            groups=spec.heads,
            layers=layers,
            first_turned=True,
            apart=tuple(apart),
        ),
        *alike("o_proj", "out", bias=spec.out_bias),
    ]
