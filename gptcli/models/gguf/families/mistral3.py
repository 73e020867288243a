"""Mistral 3: its text model, which is Mistral, or with sharper queries Ministral 3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gptcli.models.gguf import sizes
from gptcli.models.gguf.families import llama
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan

_SHARPER, _ALL = "attention.temperature_scale", "rope.scaling.yarn_log_multiplier"
_AMPLITUDE = "rope.scaling.yarn_attn_factor"


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `mistral3` file. Raises ModelError for what is not supported, by name."""
    fields.only(llama.KEYS - {"expert_count", "expert_used_count"} | {_SHARPER, _ALL})
    size = sizes.read(fields)
    found = llama.dense(fields, size, "mistral", "MistralForCausalLM", {"sliding_window": None})
    config = found.config
    if fields.get(_ALL):
        # It would be multiplied by what this makes of it.
        fields.fixed("rope.scaling.type", "yarn")
        fields.fixed(_AMPLITUDE, 1)
        config["rope_scaling"] |= {"mscale": 1.0, "mscale_all_dim": fields.real(_ALL)}
    return replace(found, config=_sharper(fields, config)) if fields.get(_SHARPER) else found


def _sharper(fields: Fields, config: dict[str, Any]) -> dict[str, Any]:
    """Ministral 3's, whose rotary positions' fields hold how much sharper."""
    if fields.get("rope.scaling.type") != "yarn":
        raise fields.error(f"{fields.arch}.{_SHARPER} is not supported without yarn")
    turned = {
        "rope_theta": config.pop("rope_theta"),
        **config.pop("rope_scaling"),
        "llama_4_scaling_beta": fields.real(_SHARPER),
    }
    for name in ("attention_bias", "mlp_bias"):
        if config.pop(name):
            raise fields.error(f"has biases, which {fields.arch} does not have")
    names = {"architectures": ["Ministral3ForCausalLM"], "model_type": "ministral3"}
    return {**config, **names, "rope_parameters": turned}
