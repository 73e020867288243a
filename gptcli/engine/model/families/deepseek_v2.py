"""DeepSeek-V2: latent attention, dense layers, then mixtures, perhaps chosen in groups."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import latent_fields, llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.expert_fields import after_dense, greedy
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "DeepSeek-V2, V2-Lite and V2.5, DeepSeek-Coder-V2"
OTHER_NAMES = {"num_experts": "n_routed_experts"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' DeepseekV2Config."""
    config.refuse_unless("moe_layer_freq", 1)
    # The first code that was published obeys it, transformers does not; no checkpoint has it.
    config.refuse_unless("norm_topk_prob", False)
    config.refuse_unless("mlp_bias", False)
    base = latent_fields.spec(config, latent_fields.DEFAULTS, query_rank=1536)
    chosen = config.count("num_experts_per_tok")
    experts = greedy(
        config, count=64, chosen=chosen, hidden=1407, normalised=False, scale=1.0, shared=2
    )
    return replace(base, each_layer=after_dense(config, base.each_layer, 0), experts=experts)


def rules(spec: ModelSpec) -> Rules:
    """Named as DeepSeek-V3's."""
    return llama_names.rules(
        spec,
        attention=latent_fields.attention_rules(spec),
        mlp=llama_names.mixed_rules(spec, exact=True),
    )
