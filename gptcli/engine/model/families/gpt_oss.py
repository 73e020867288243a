"""gpt-oss: a mixture in every layer, attention sinks, every other layer with a window, biases.

The published experts are stored in MXFP4.
"""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.size_fields import FULL, SLIDING, by_kind, mixture, rms_norm, sizes
from gptcli.engine.model.spec import ModelSpec

SUPPORTS = "gpt-oss 20B and 120B, MXFP4 experts or plain ones"
_YARN = {
    "rope_type": "yarn",
    "factor": 32.0,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "truncate": False,
    "original_max_position_embeddings": 4096,
}
OTHER_NAMES = {"num_experts": "num_local_experts", "experts_per_token": "num_experts_per_tok"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' GptOssConfig."""
    config.refuse_unless("swiglu_alpha", 1.702)
    config.refuse_unless("hidden_act", "silu")
    config = config.over({"max_position_embeddings": 131072})
    if config.get("rope_parameters") is None:
        config = config.over({"rope_scaling": _YARN})
    size = sizes(config)
    window = None
    if not config.has("sliding_window") or config.get("sliding_window") is not None:
        window = config.count("sliding_window", 128)
    layers = config.layers("num_hidden_layers")
    kinds = [FULL if i % 2 or window is None else SLIDING for i in range(layers)]
    bias = config.flag("attention_bias", True)
    experts = mixture(
        config,
        count=config.count("num_local_experts", 128),
        chosen=config.count("num_experts_per_tok", 4),
        hidden=size["hidden"],
        normalised=True,
        router_bias=True,
    )
    by_layer = by_kind(
        config, window, [rope(config, size["head_dim"], theta=150000.0)] * layers, kinds
    )
    return ModelSpec(
        **size,
        each_layer=tuple(replace(each, mixture=True) for each in by_layer),
        norm=rms_norm(config, 1e-5),
        activation="quick_gelu",
        gated=True,
        tied=config.flag("tie_word_embeddings", False),
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=True,
        sinks=True,
        experts=experts,
        gate_limit=config.number("swiglu_limit", 7.0),
        up_offset=1.0,
    )


def rules(spec: ModelSpec) -> Rules:
    """Experts are stored in a stack, as (in, out); gate and up take turns along the outputs."""
    if spec.experts is None:
        raise ValueError("gpt-oss has experts")
    theirs, ours, count = "layers.{i}.mlp", "layers.{i}.mlp.experts.{n}", spec.experts.count
    gate_up = ("gate", "up")
    mlp = linear(f"{theirs}.router", "layers.{i}.mlp.router", bias=True)
    for stored, parts, groups in (
        ("gate_up_proj", gate_up, spec.experts.hidden),
        ("down_proj", ("down",), 1),
    ):
        name = f"{theirs}.experts.{stored}"
        weights = tuple(f"{ours}.{part}.weight" for part in parts)
        biases = tuple(f"{ours}.{part}.bias" for part in parts)
        mlp += [
            Rule(name, weights, transpose=True, groups=groups, members=count, packed="mxfp4"),
            Rule(f"{name}_bias", biases, groups=groups, members=count),
        ]
    sinks = Rule("layers.{i}.self_attn.sinks", "layers.{i}.attention.sinks")
    attention = [*llama_names.attention_rules(spec), sinks]
    return llama_names.rules(spec, attention=attention, mlp=mlp)
