"""BLOOM: no positions but ALiBi, and a norm right after the embedding."""

from __future__ import annotations

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.llama_names import head, spare_head
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SUPPORTS = "BLOOM and BLOOMZ in all sizes"
OTHER_NAMES = {
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "n_embed": "hidden_size",
}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' BloomConfig.

    The context is that of training: ALiBi itself has no end.
    """
    config.refuse_unless("apply_residual_connection_post_layernorm", False)
    width = config.count("hidden_size", 64)
    heads = config.count("n_head", 8)
    if width % heads:
        raise config.bad("n_head", f"{heads} does not divide hidden_size, {width}")
    return ModelSpec(
        width=width,
        heads=heads,
        kv_heads=heads,
        head_dim=width // heads,
        hidden=4 * width,
        vocab=config.count("vocab_size", 250880),
        context=config.count("seq_length", 2048),
        each_layer=(LayerSpec(),) * config.layers("n_layer", 2),
        norm=NormSpec("layernorm", config.number("layer_norm_epsilon", 1e-5), bias=True),
        activation="gelu_tanh",
        gated=False,
        tied=config.flag("tie_word_embeddings", True),
        alibi=1.0,
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        embedding_norm=True,
    )


def rules(spec: ModelSpec) -> Rules:
    """Queries, keys and values are one stored tensor, head by head."""
    qkv = tuple(f"layers.{{i}}.attention.{part}" for part in ("query", "key", "value"))
    theirs, ours = "h.{i}", "layers.{i}"
    fused = linear(f"{theirs}.self_attention.query_key_value", qkv, bias=True, groups=spec.heads)
    found = [
        Rule("word_embeddings.weight", "embedding.weight"),
        *linear("word_embeddings_layernorm", "embedding_norm", bias=True),
        *linear(f"{theirs}.input_layernorm", f"{ours}.attention_norm", bias=True),
        *fused,
        *linear(f"{theirs}.self_attention.dense", f"{ours}.attention.out", bias=True),
        *linear(f"{theirs}.post_attention_layernorm", f"{ours}.mlp_norm", bias=True),
        *linear(f"{theirs}.mlp.dense_h_to_4h", f"{ours}.mlp.up", bias=True),
        *linear(f"{theirs}.mlp.dense_4h_to_h", f"{ours}.mlp.down", bias=True),
        *linear("ln_f", "final_norm", bias=True),
    ]
    found += head(spec)
    return Rules(tuple(found), "transformer.", spare_head(spec))
