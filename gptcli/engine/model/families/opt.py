"""OPT: GPT-2's shape with ReLU; positions are stored after two rows that are not used."""

from __future__ import annotations

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.llama_names import head, spare_head
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.size_fields import ACTIVATIONS
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SUPPORTS = "OPT from 125M to 66B; not OPT-350M, whose norms follow the addition"
#: Rows of the stored position table before that of position 0.
_OFFSET = 2


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' OPTConfig."""
    config.refuse_unless("do_layer_norm_before", True)
    config.refuse_unless("_remove_final_layer_norm", False)
    config.refuse_unless("layer_norm_elementwise_affine", True)
    width, heads = config.count("hidden_size", 768), config.count("num_attention_heads", 12)
    config.refuse_unless("word_embed_proj_dim", width)
    if width % heads:
        raise config.bad("num_attention_heads", f"{heads} does not divide hidden_size, {width}")
    bias = config.flag("enable_bias", True)
    return ModelSpec(
        width=width,
        heads=heads,
        kv_heads=heads,
        head_dim=width // heads,
        hidden=config.count("ffn_dim", 3072),
        vocab=config.count("vocab_size", 50272),
        context=config.count("max_position_embeddings", 2048),
        each_layer=(LayerSpec(),) * config.layers("num_hidden_layers", 12),
        norm=NormSpec("layernorm", 1e-5, bias=True),
        activation=config.one_of("activation_function", ACTIVATIONS, "relu"),
        gated=False,
        tied=config.flag("tie_word_embeddings", True),
        learned_positions=True,
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=bias,
    )


def rules(spec: ModelSpec) -> Rules:
    """Everything is stored by itself, as (out, in)."""
    theirs, ours, bias = "layers.{i}.self_attn", "layers.{i}.attention", spec.qkv_bias
    found = [
        Rule("embed_tokens.weight", "embedding.weight"),
        Rule("embed_positions.weight", "positions.weight", skip=_OFFSET),
        *linear("layers.{i}.self_attn_layer_norm", "layers.{i}.attention_norm", bias=True),
        *linear(f"{theirs}.q_proj", f"{ours}.query", bias=bias),
        *linear(f"{theirs}.k_proj", f"{ours}.key", bias=bias),
        *linear(f"{theirs}.v_proj", f"{ours}.value", bias=bias),
        *linear(f"{theirs}.out_proj", f"{ours}.out", bias=bias),
        *linear("layers.{i}.final_layer_norm", "layers.{i}.mlp_norm", bias=True),
        *linear("layers.{i}.fc1", "layers.{i}.mlp.up", bias=bias),
        *linear("layers.{i}.fc2", "layers.{i}.mlp.down", bias=bias),
        *linear("final_layer_norm", "final_norm", bias=True),
    ]
    found += head(spec)
    return Rules(tuple(found), "model.decoder.", spare_head(spec), ("decoder.",))
