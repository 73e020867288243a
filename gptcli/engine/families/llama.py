"""Llama: RoPE, RMSNorm, a gated MLP, grouped-query attention, optional biases.

SmolLM2, TinyLlama, Llama 2 and 3 and many others are stored as this family.
"""

from __future__ import annotations

from gptcli.engine.config_fields import ConfigFields
from gptcli.engine.families.rope_fields import rope
from gptcli.engine.families.rules import Rule, Rules, linear
from gptcli.engine.spec import ModelSpec

_ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' LlamaConfig."""
    width, heads = config.count("hidden_size"), config.count("num_attention_heads")
    kv_heads = config.count("num_key_value_heads", heads)
    if heads % kv_heads:
        raise config.bad("num_key_value_heads", f"{kv_heads} does not divide {heads} heads")
    if config.get("head_dim") is None and width % heads:
        raise config.bad("num_attention_heads", f"{heads} does not divide hidden_size, {width}")
    head_dim = config.count("head_dim", max(1, width // heads))
    attention_bias = config.flag("attention_bias", False)
    return ModelSpec(
        layers=config.count("num_hidden_layers"),
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        hidden=config.count("intermediate_size"),
        vocab=config.count("vocab_size"),
        context=config.count("max_position_embeddings", 2048),
        norm="rmsnorm",
        norm_eps=config.number("rms_norm_eps", 1e-6),
        activation=config.one_of("hidden_act", _ACTIVATIONS, "silu"),
        gated=True,
        rope=rope(config, head_dim),
        learned_positions=False,
        tied=config.flag("tie_word_embeddings", False),
        qkv_bias=attention_bias,
        out_bias=attention_bias,
        mlp_bias=config.flag("mlp_bias", False),
    )


def rules(spec: ModelSpec) -> Rules:
    """Every projection is stored by itself, as (out, in)."""
    attention, mlp = "layers.{i}.self_attn", "layers.{i}.mlp"
    ours = "layers.{i}"
    found = [
        Rule("embed_tokens.weight", "embedding.weight"),
        Rule("layers.{i}.input_layernorm.weight", f"{ours}.attention_norm.weight"),
        *linear(f"{attention}.q_proj", f"{ours}.attention.query", bias=spec.qkv_bias),
        *linear(f"{attention}.k_proj", f"{ours}.attention.key", bias=spec.qkv_bias),
        *linear(f"{attention}.v_proj", f"{ours}.attention.value", bias=spec.qkv_bias),
        *linear(f"{attention}.o_proj", f"{ours}.attention.out", bias=spec.out_bias),
        Rule("layers.{i}.post_attention_layernorm.weight", f"{ours}.mlp_norm.weight"),
        *linear(f"{mlp}.gate_proj", f"{ours}.mlp.gate", bias=spec.mlp_bias),
        *linear(f"{mlp}.up_proj", f"{ours}.mlp.up", bias=spec.mlp_bias),
        *linear(f"{mlp}.down_proj", f"{ours}.mlp.down", bias=spec.mlp_bias),
        Rule("norm.weight", "final_norm.weight"),
    ]
    # Older checkpoints hold the rope frequencies; a tied head may be stored twice.
    ignored = [r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq"]
    if spec.tied:
        ignored.append(r"lm_head\.weight")
    else:
        found.append(Rule("lm_head.weight", "unembedding.weight"))
    return Rules(tuple(found), prefix="model.", ignored=tuple(ignored))
