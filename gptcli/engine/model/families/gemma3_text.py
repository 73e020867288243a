"""Gemma 3, its text model: Gemma 2 with norms of queries and keys in place of the soft-caps, and
five layers with a window and a rope of their own for each that sees everything.
"""

from __future__ import annotations

from dataclasses import replace

from gptcli.engine.model import llama_names, wrapped
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import gemma, gemma2
from gptcli.engine.model.rope_fields import by_sight
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.size_fields import FULL, SLIDING, by_kind, sizes
from gptcli.engine.model.spec import HeadNorm, ModelSpec

SUPPORTS = "Gemma 3 1B and 270M, text only as they are"
_SIZES = {
    "hidden_size": 2304,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "vocab_size": 262208,
    "max_position_embeddings": 131072,
}
OTHER_NAMES = {"_sliding_window_pattern": "sliding_window_pattern"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Gemma3TextConfig.

    The rope scaling of a config without `rope_parameters` is that of the layers that see all.
    """
    # transformers reads this field and does nothing with it.
    config.refuse_unless("attn_logit_softcapping")
    config = config.over(_SIZES)
    size = sizes(config)
    layers, head_dim = config.layers("num_hidden_layers"), size["head_dim"]
    base = config.number("rope_local_base_freq", 10000.0)
    near, wide = by_sight(config, head_dim, near=base, wide=1e6)
    pattern = config.count("sliding_window_pattern", 6)
    kinds = [SLIDING if (i + 1) % pattern else FULL for i in range(layers)]
    by_layer = by_kind(config, gemma2.window(config), [wide] * layers, kinds)
    shared = gemma.common(config, size["width"])
    return ModelSpec(
        **size,
        **shared,
        **gemma2.capped(config, None, None),
        each_layer=by_kind(
            config,
            gemma2.window(config),
            [wide if each.window is None else near for each in by_layer],
            kinds,
        ),
        head_norm=HeadNorm(shared["norm"], over="head"),
    )


def rules(spec: ModelSpec) -> Rules:
    """The same names for the text model of a checkpoint that also sees: those are left out."""
    found = llama_names.rules(
        spec, mlp_norm="pre_feedforward_layernorm", other_prefixes=("language_model.model.",)
    )
    return replace(found, beside=(wrapped.sight("vision_tower", "multi_modal_projector"),))
