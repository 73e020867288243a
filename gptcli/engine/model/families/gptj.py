"""GPT-J: interleaved RoPE on part of each head, attention and MLP side by side after one norm."""

from __future__ import annotations

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import gpt2
from gptcli.engine.model.llama_names import head, spare_head
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.size_fields import ACTIVATIONS
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SUPPORTS = "GPT-J 6B"
OTHER_NAMES = gpt2.OTHER_NAMES


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' GPTJConfig."""
    width, heads = config.count("n_embd", 4096), config.count("n_head", 16)
    if width % heads:
        raise config.bad("n_head", f"{heads} does not divide n_embd, {width}")
    if config.has("rotary_dim") and config.get("rotary_dim") is None:
        raise config.bad("rotary_dim", "is null, which gptcli does not support")
    dim = config.count("rotary_dim", 64)
    if dim % 2 or dim > width // heads:
        reason = f"must be even and at most {width // heads}, the size of a head, not {dim}"
        raise config.bad("rotary_dim", reason)
    rope = Rope(10000.0, dim, interleaved=True)
    return ModelSpec(
        width=width,
        heads=heads,
        kv_heads=heads,
        head_dim=width // heads,
        hidden=config.count("n_inner", 4 * width),
        vocab=config.count("vocab_size", 50400),
        context=config.count("n_positions", 2048),
        each_layer=(LayerSpec(rope),) * config.layers("n_layer", 28),
        norm=NormSpec("layernorm", config.number("layer_norm_epsilon", 1e-5), bias=True),
        activation=config.one_of("activation_function", ACTIVATIONS, "gelu_new"),
        gated=False,
        tied=config.flag("tie_word_embeddings", False),
        mlp_bias=True,
        head_bias=True,
        blocks="parallel_one_norm",
    )


def rules(spec: ModelSpec) -> Rules:
    """Everything is stored by itself, as (out, in)."""
    theirs, ours = "h.{i}.attn", "layers.{i}.attention"
    found = [
        Rule("wte.weight", "embedding.weight"),
        *linear("h.{i}.ln_1", "layers.{i}.attention_norm", bias=True),
        *linear(f"{theirs}.q_proj", f"{ours}.query", bias=False),
        *linear(f"{theirs}.k_proj", f"{ours}.key", bias=False),
        *linear(f"{theirs}.v_proj", f"{ours}.value", bias=False),
        *linear(f"{theirs}.out_proj", f"{ours}.out", bias=False),
        *linear("h.{i}.mlp.fc_in", "layers.{i}.mlp.up", bias=True),
        *linear("h.{i}.mlp.fc_out", "layers.{i}.mlp.down", bias=True),
        *linear("ln_f", "final_norm", bias=True),
        *head(spec),
    ]
    ignored = (r"h\.\d+\.attn\.(bias|masked_bias)", *spare_head(spec))
    return Rules(tuple(found), "transformer.", ignored)
