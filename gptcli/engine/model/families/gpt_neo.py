"""GPT-Neo: as GPT-2, with unscaled attention that sees everything or a window, layer by layer."""

from __future__ import annotations

from typing import Any

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.llama_names import head, spare_head
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.size_fields import ACTIVATIONS
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SUPPORTS = "GPT-Neo 125M, 1.3B and 2.7B, global and local layers"
OTHER_NAMES = {"num_attention_heads": "num_heads", "num_hidden_layers": "num_layers"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' GPTNeoConfig."""
    width, heads = config.count("hidden_size", 2048), config.count("num_heads", 16)
    if width % heads:
        raise config.bad("num_heads", f"{heads} does not divide hidden_size, {width}")
    window = config.count("window_size", 256)
    kinds = _kinds(config, config.layers("num_layers", 24))
    return ModelSpec(
        width=width,
        heads=heads,
        kv_heads=heads,
        head_dim=width // heads,
        hidden=config.count("intermediate_size", 4 * width),
        vocab=config.count("vocab_size", 50257),
        context=config.count("max_position_embeddings", 2048),
        each_layer=tuple(LayerSpec(window=window if kind == "local" else None) for kind in kinds),
        norm=NormSpec("layernorm", config.number("layer_norm_epsilon", 1e-5), bias=True),
        activation=config.one_of("activation_function", ACTIVATIONS, "gelu_new"),
        gated=False,
        tied=config.flag("tie_word_embeddings", True),
        learned_positions=True,
        out_bias=True,
        mlp_bias=True,
        attention_scale=1.0,
    )


def _kinds(config: ConfigFields, layers: int) -> list[str]:
    """`attention_types` is [[[kind, …], how often], …]."""
    found: list[str] = []
    default: list[Any] = [[["global", "local"], 12]]
    stated = config.get("attention_types")
    try:
        for kinds, times in default if stated is None else stated:
            # More than there are layers is wrong anyway, and not worth the memory.
            found += list(kinds)[: layers + 1] * min(times, layers + 1)
            if len(found) > layers:
                break
    except (TypeError, ValueError):
        raise config.bad("attention_types", "must be [[[kind, …], how often], …]") from None
    if len(found) != layers or any(kind not in ("global", "local") for kind in found):
        reason = f"must make {layers} layers, each global or local, not {len(found)}"
        raise config.bad("attention_types", reason)
    return found


def rules(spec: ModelSpec) -> Rules:
    """Linear layers are stored as (out, in), other than GPT-2's."""
    theirs, ours = "h.{i}.attn.attention", "layers.{i}.attention"
    found = [
        Rule("wte.weight", "embedding.weight"),
        Rule("wpe.weight", "positions.weight"),
        *linear("h.{i}.ln_1", "layers.{i}.attention_norm", bias=True),
        *linear(f"{theirs}.q_proj", f"{ours}.query", bias=False),
        *linear(f"{theirs}.k_proj", f"{ours}.key", bias=False),
        *linear(f"{theirs}.v_proj", f"{ours}.value", bias=False),
        *linear(f"{theirs}.out_proj", f"{ours}.out", bias=True),
        *linear("h.{i}.ln_2", "layers.{i}.mlp_norm", bias=True),
        *linear("h.{i}.mlp.c_fc", "layers.{i}.mlp.up", bias=True),
        *linear("h.{i}.mlp.c_proj", "layers.{i}.mlp.down", bias=True),
        *linear("ln_f", "final_norm", bias=True),
    ]
    found += head(spec)
    ignored = (r"h\.\d+\.attn\.attention\.(bias|masked_bias)", *spare_head(spec))
    return Rules(tuple(found), "transformer.", ignored)
