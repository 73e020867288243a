"""Ministral 3: Mistral whose queries are sharper the further on they stand."""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import llama
from gptcli.engine.model.rotations import Temperature
from gptcli.engine.model.size_fields import rms_norm
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "Ministral 3 3B, 8B and 14B"

rules = llama.rules
_YARN = {
    "rope_type": "yarn",
    "rope_theta": 1000000.0,
    "factor": 16.0,
    "original_max_position_embeddings": 16384,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale_all_dim": 1.0,
    "mscale": 1.0,
    "llama_4_scaling_beta": 0.1,
}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Ministral3Config."""
    config = config.over({"head_dim": 128, "max_position_embeddings": 262144})
    if config.get("rope_parameters") is None and config.get("rope_scaling") is None:
        config = config.over({"rope_parameters": _YARN})
    base, window = llama.spec(config), config.optional_count("sliding_window")
    sharper = _temperature(config)
    return replace(
        base,
        each_layer=tuple(
            replace(each, window=window, temperature=sharper) for each in base.each_layer
        ),
        norm=rms_norm(config, 1e-5),
        qkv_bias=False,
        out_bias=False,
        mlp_bias=False,
    )


def _temperature(config: ConfigFields) -> Temperature | None:
    """Beside the rotary positions' fields, as Llama 4's is called there."""
    for place in ("rope_parameters", "rope_scaling"):
        fields = config.sub(place)
        if fields is not None and fields.get("llama_4_scaling_beta") is not None:
            length = fields.count("original_max_position_embeddings")
            return Temperature(fields.number("llama_4_scaling_beta"), length)
    return None
