"""DeepSeek-V3: latent attention, dense layers, then mixtures chosen by sigmoids, in groups."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import latent_fields, llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.expert_fields import after_dense, corrected
from gptcli.engine.model.rules import Rules, next_tokens
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "DeepSeek-V3, V3.1 and R1, Kimi-K2, Moonlight"
OTHER_NAMES = {"num_local_experts": "n_routed_experts"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' DeepseekV3Config."""
    config.refuse_unless("moe_layer_freq", 1)
    interleaved = config.flag("rope_interleave", True)
    defaults = latent_fields.DEFAULTS | {"max_position_embeddings": 4096}
    base = latent_fields.spec(config, defaults, query_rank=1536, interleaved=interleaved)
    experts = corrected(
        config, count=256, chosen=8, hidden=2048, normalised=True, scale=2.5, groups=(8, 4)
    )
    each_layer = after_dense(config, base.each_layer, 3)
    return replace(base, each_layer=each_layer, mlp_bias=False, experts=experts)


def rules(spec: ModelSpec) -> Rules:
    """More layers may be stored, which guess tokens after the next."""
    found = llama_names.rules(
        spec,
        attention=latent_fields.attention_rules(spec),
        mlp=llama_names.mixed_rules(spec, exact=True),
    )
    return replace(found, beside=(next_tokens(further(spec.layers)),))


def further(layers: int) -> str:
    """The names of what stands behind the last layer: layers by their numbers, nine at the most."""
    numbers = "|".join(str(layers + n) for n in range(9))
    return rf"layers\.({numbers})\..*"
