"""Falcon: one or a few key/value heads, RoPE or ALiBi, blocks side by side in most sizes."""

from __future__ import annotations

from typing import Literal

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.llama_names import head, spare_head
from gptcli.engine.model.rope_fields import context, rope
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.size_fields import ACTIVATIONS
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SUPPORTS = (
    "Falcon 7B, 11B, 40B, 180B and RW; ALiBi in float32, which transformers rounds to bfloat16"
)
OTHER_NAMES = {"n_embed": "hidden_size"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' FalconConfig."""
    width = config.count("hidden_size", 4544)
    heads = config.count("num_attention_heads", 71)
    if width % heads:
        raise config.bad("num_attention_heads", f"{heads} does not divide hidden_size, {width}")
    grouped = config.flag("new_decoder_architecture", False)
    kv_heads = config.count("num_kv_heads", heads)
    if not grouped:
        kv_heads = 1 if config.flag("multi_query", True) else heads
    if heads % kv_heads:
        raise config.bad("num_kv_heads", f"{kv_heads} does not divide {heads} heads")
    head_dim, alibi = width // heads, config.flag("alibi", False)
    turned = None if alibi else rope(config, head_dim)
    bias = config.flag("bias", False)
    return ModelSpec(
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        hidden=config.count("ffn_hidden_size", 4 * width),
        vocab=config.count("vocab_size", 65024),
        context=context(config, 2048),
        each_layer=(LayerSpec(turned),) * config.layers("num_hidden_layers", 32),
        norm=NormSpec("layernorm", config.number("layer_norm_epsilon", 1e-5), bias=True),
        activation=config.one_of("activation", ACTIVATIONS, "gelu"),
        gated=False,
        tied=config.flag("tie_word_embeddings", True),
        # The bias is added before the scores are scaled.
        alibi=head_dim**-0.5 if alibi else None,
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=bias,
        blocks=_blocks(config, grouped),
    )


def _blocks(
    config: ConfigFields, grouped: bool
) -> Literal["serial", "parallel", "parallel_one_norm"]:
    norms = config.count("num_ln_in_parallel_attn", 2 if grouped else 1)
    if not config.flag("parallel_attn", True):
        if grouped:
            reason = "is false with new_decoder_architecture, which gptcli does not support"
            raise config.bad("parallel_attn", reason)
        return "serial"
    if norms > 2 or (norms == 2 and not grouped):
        reason = f"is {norms}, which gptcli does not support here"
        raise config.bad("num_ln_in_parallel_attn", reason)
    return "parallel" if norms == 2 else "parallel_one_norm"


def rules(spec: ModelSpec) -> Rules:
    """Queries, keys and values are one stored tensor, one key/value head after the other."""
    qkv = tuple(f"layers.{{i}}.attention.{part}" for part in ("query", "key", "value"))
    theirs, ours, bias = "h.{i}", "layers.{i}", spec.qkv_bias
    fused = f"{theirs}.self_attention.query_key_value"
    names = ("ln_attn", "ln_mlp")
    if spec.blocks != "parallel":
        names = ("input_layernorm", "post_attention_layernorm")
    found = [
        Rule("word_embeddings.weight", "embedding.weight"),
        *linear(f"{theirs}.{names[0]}", f"{ours}.attention_norm", bias=True),
        *linear(fused, qkv, bias=bias, groups=spec.kv_heads),
        *linear(f"{theirs}.self_attention.dense", f"{ours}.attention.out", bias=bias),
        *linear(f"{theirs}.mlp.dense_h_to_4h", f"{ours}.mlp.up", bias=bias),
        *linear(f"{theirs}.mlp.dense_4h_to_h", f"{ours}.mlp.down", bias=bias),
        *linear("ln_f", "final_norm", bias=True),
    ]
    if spec.blocks != "parallel_one_norm":
        found += linear(f"{theirs}.{names[1]}", f"{ours}.mlp_norm", bias=True)
    found += head(spec)
    ignored = (r"h\.\d+\.self_attention\.rotary_emb\.inv_freq", *spare_head(spec))
    return Rules(tuple(found), "transformer.", ignored)
