"""GPT-2: learned positions, LayerNorm, tanh GELU, biases everywhere, stored as (in, out)."""

from __future__ import annotations

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.llama_names import head, spare_head
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.size_fields import ACTIVATIONS
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SUPPORTS = "GPT-2 in all sizes, and what is stored as it"
OTHER_NAMES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}


def spec(config: ConfigFields) -> ModelSpec:
    """Defaults are those of the first GPT-2, as its config.json leaves some of them out."""
    config.refuse_unless("scale_attn_weights", True)
    config.refuse_unless("scale_attn_by_inverse_layer_idx", False)
    config.refuse_unless("add_cross_attention", False)
    width, heads = config.count("n_embd", 768), config.count("n_head", 12)
    if width % heads:
        raise config.bad("n_head", f"{heads} does not divide n_embd, {width}")
    return ModelSpec(
        each_layer=(LayerSpec(),) * config.layers("n_layer", 12),
        width=width,
        heads=heads,
        kv_heads=heads,
        head_dim=width // heads,
        hidden=config.count("n_inner", 4 * width),
        vocab=config.count("vocab_size", 50257),
        context=config.count("n_positions", 1024),
        norm=NormSpec("layernorm", config.number("layer_norm_epsilon", 1e-5), bias=True),
        activation=config.one_of("activation_function", ACTIVATIONS, "gelu_new"),
        gated=False,
        learned_positions=True,
        tied=config.flag("tie_word_embeddings", True),
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
    )


def rules(spec: ModelSpec) -> Rules:
    """Queries, keys and values are one stored tensor."""
    qkv = tuple(f"layers.{{i}}.attention.{part}" for part in ("query", "key", "value"))
    found = [
        Rule("wte.weight", "embedding.weight"),
        Rule("wpe.weight", "positions.weight"),
        *linear("h.{i}.ln_1", "layers.{i}.attention_norm", bias=True),
        *linear("h.{i}.attn.c_attn", qkv, bias=True, transpose=True),
        *linear("h.{i}.attn.c_proj", "layers.{i}.attention.out", bias=True, transpose=True),
        *linear("h.{i}.ln_2", "layers.{i}.mlp_norm", bias=True),
        *linear("h.{i}.mlp.c_fc", "layers.{i}.mlp.up", bias=True, transpose=True),
        *linear("h.{i}.mlp.c_proj", "layers.{i}.mlp.down", bias=True, transpose=True),
        *linear("ln_f", "final_norm", bias=True),
    ]
    # Old checkpoints hold the causal mask as a tensor; a tied head may be stored twice.
    found += head(spec)
    ignored = (r"h\.\d+\.attn\.(bias|masked_bias)", *spare_head(spec))
    return Rules(tuple(found), "transformer.", ignored)
