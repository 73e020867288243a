"""GPT-NeoX: RoPE on part of each head, attention and MLP side by side after a norm each.

Pythia, Dolly, RedPajama-INCITE and the 20B model are stored as this family.
"""

from __future__ import annotations

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.llama_names import head, spare_head
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.size_fields import ACTIVATIONS, alike, sizes
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SUPPORTS = "GPT-NeoX 20B, Pythia, Dolly, RedPajama-INCITE"
OTHER_NAMES = {"rotary_emb_base": "rope_theta", "rotary_pct": "partial_rotary_factor"}


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' GPTNeoXConfig."""
    size = sizes(config)
    turned = rope(config, size["head_dim"], partial=0.25)
    bias = config.flag("attention_bias", True)
    return ModelSpec(
        **size,
        each_layer=alike(config, LayerSpec(turned)),
        norm=NormSpec("layernorm", config.number("layer_norm_eps", 1e-5), bias=True),
        activation=config.one_of("hidden_act", ACTIVATIONS, "gelu"),
        gated=False,
        tied=config.flag("tie_word_embeddings", False),
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=True,
        blocks="parallel" if config.flag("use_parallel_residual", True) else "serial",
    )


def rules(spec: ModelSpec) -> Rules:
    """Queries, keys and values are one stored tensor, head by head."""
    qkv = tuple(f"layers.{{i}}.attention.{part}" for part in ("query", "key", "value"))
    theirs, ours, bias = "layers.{i}", "layers.{i}", spec.qkv_bias
    fused = linear(f"{theirs}.attention.query_key_value", qkv, bias=bias, groups=spec.heads)
    found = [
        Rule("embed_in.weight", "embedding.weight"),
        *linear(f"{theirs}.input_layernorm", f"{ours}.attention_norm", bias=True),
        *fused,
        *linear(f"{theirs}.attention.dense", f"{ours}.attention.out", bias=spec.out_bias),
        *linear(f"{theirs}.post_attention_layernorm", f"{ours}.mlp_norm", bias=True),
        *linear(f"{theirs}.mlp.dense_h_to_4h", f"{ours}.mlp.up", bias=True),
        *linear(f"{theirs}.mlp.dense_4h_to_h", f"{ours}.mlp.down", bias=True),
        *linear("final_layer_norm", "final_norm", bias=True),
        *head(spec, "embed_out"),
    ]
    # Older checkpoints hold the causal mask and the rope frequencies.
    old = r"layers\.\d+\.attention\.(bias|masked_bias|rotary_emb\.inv_freq)"
    return Rules(tuple(found), "gpt_neox.", (old, *spare_head(spec, "embed_out")))
