"""Gemma 4's text: sizes and ropes of each layer, shared keys and values, what layers are told, and
experts beside the MLP of every layer.
"""

from __future__ import annotations

from typing import Any

from gptcli.models.gguf import experts, rope, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import gemma, gemma2
from gptcli.models.gguf.fields import PATTERN, Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import HEAD, Sizes
from gptcli.models.gguf.takes import Take, Woven
from gptcli.models.gguf.tensors import BLOCK, LAYER

_SHARED, _TOLD = "attention.shared_kv_layers", "embedding_length_per_layer_input"
_CAP = "final_logit_softcapping"
_KEYS = gemma.KEYS | {"attention.sliding_window", "rope.freq_base_swa", _CAP, PATTERN}
_KEYS |= {"attention.key_length_swa", "attention.value_length_swa", "rope.dimension_count_swa"}
_KEYS |= {_SHARED, _TOLD} | experts.KEYS
_TABLE = "per_layer_token_embd.weight"
_MIXTURE_NORMS = {
    "pre_feedforward_layernorm_2": "pre_ffw_norm_2",
    "post_feedforward_layernorm_1": "post_ffw_norm_1",
    "post_feedforward_layernorm_2": "post_ffw_norm_2",
}
#: What pairs that do not turn are divided by.
_STILL = 1e30


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `gemma4` file. Raises ModelError for what is not supported, by name."""
    fields.only(_KEYS)
    count = fields.layers()
    near = fields.windowed(count, 6)
    shared = fields.count(_SHARED) if fields.get(_SHARED) else 0
    if shared >= count:
        raise fields.error(f"shares the keys and values of {shared} of {count} layers")
    hidden = fields.counts("feed_forward_length")
    size = _size(fields, near, hidden=hidden[0])
    full = fields.count("attention.key_length")
    fields.fixed("attention.value_length", full)
    fields.fixed("rope.dimension_count", full)
    fields.fixed("rope.dimension_count_swa", size.head_dim)
    kv_heads = _kv_heads(fields, near, False)
    own = [layer for layer in range(count - shared) if not near[layer]]
    equal = bool(own) and not any(fields.has(f"blk.{layer}.attn_v.weight") for layer in own)
    told = fields.count(_TOLD) if fields.get(_TOLD) else 0
    mixed = bool(fields.get("expert_count"))
    config = {
        **sizes.config(size, "gemma4_text", "Gemma4ForCausalLM", "gelu_pytorch_tanh"),
        "attention_bias": False,
        "attention_k_eq_v": equal,
        "enable_moe_block": mixed,
        "head_dim": size.head_dim,
        "hidden_activation": "gelu_pytorch_tanh",
        "rms_norm_eps": fields.real("attention.layer_norm_rms_epsilon"),
        "final_logit_softcapping": fields.real(_CAP) if fields.get(_CAP) else None,
        "hidden_size_per_layer_input": told,
        "layer_types": ["sliding_attention" if each else "full_attention" for each in near],
        "num_kv_shared_layers": shared,
        "per_layer_config": {
            str(layer): {"head_dim": full, "num_key_value_heads": kv_heads}
            for layer in range(count)
            if not near[layer]
        },
        "rope_parameters": _ropes(fields, full),
        "sliding_window": fields.count("attention.sliding_window"),
        "use_double_wide_mlp": _doubled(fields, hidden, shared),
    }
    mixture: list[Take | Woven] = []
    if mixed:
        held, used = sizes.experts(fields)
        inner = fields.count("expert_feed_forward_length")
        config |= {"num_experts": held, "top_k_experts": used, "moe_intermediate_size": inner}
        mixture = _mixture(fields, size.width, held, inner)
    takes = [*layout.whole(size, mixture)]
    if told:
        rows = fields.header.tensors[_TABLE].shape[0] if fields.has(_TABLE) else size.vocab
        config["vocab_size_per_layer_input"] = rows
        takes += _told(size, told, rows)
    unused = {rope.FREQUENCIES}
    for layer in range(count):
        reads = layer >= count - shared
        shape = (size.head_dim, size.kv_heads) if near[layer] else (full, kv_heads)
        takes += _layer(size, layer, shape, hidden[layer], reads, equal and not near[layer], told)
        if reads:
            names = ("attn_k", "attn_v", "attn_k_norm")
            unused |= {f"blk.{layer}.{name}.weight" for name in names}
    return ConversionPlan(config, tuple(takes), frozenset(unused))


def _size(fields: Fields, near: list[bool], *, hidden: int) -> Sizes:
    """The sizes of a layer with a window."""
    tensors = fields.header.tensors
    if sizes.EMBEDDING not in tensors:
        raise fields.error(f"lacks the tensor {sizes.EMBEDDING}")
    heads, kv_heads = fields.count("attention.head_count"), _kv_heads(fields, near, True)
    head_dim = fields.count("attention.key_length_swa", fields.count("attention.key_length"))
    fields.fixed("attention.value_length_swa", head_dim)
    for each in (kv_heads, _kv_heads(fields, near, False)):
        if heads % each or head_dim % 2:
            raise fields.error(f"cannot have {heads} heads of {head_dim} with {each} of keys")
    return Sizes(
        layers=len(near),
        width=fields.count("embedding_length"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        hidden=hidden,
        vocab=fields.count("vocab_size", tensors[sizes.EMBEDDING].shape[0]),
        context=fields.count("context_length"),
        tied=HEAD not in tensors,
    )


def _kv_heads(fields: Fields, near: list[bool], window: bool) -> int:
    """Those of all layers with a window, or without."""
    found = fields.counts("attention.head_count_kv")
    kinds = {heads for heads, each in zip(found, near, strict=True) if each is window}
    if len(kinds) > 1:
        raise fields.error("has layers of one kind with different heads of keys")
    return kinds.pop() if kinds else found[0]


def _doubled(fields: Fields, hidden: list[int], shared: int) -> bool:
    """Whether layers that read the keys and values of others have MLPs of twice the features."""
    first = len(hidden) - shared
    for times in (1, 2):
        if hidden == [hidden[0]] * first + [times * hidden[0]] * shared:
            return times == 2
    raise fields.error("has MLPs of sizes that are not supported")


def _ropes(fields: Fields, head_dim: int) -> dict[str, Any]:
    """Of layers that see everything, a part of the pairs turns: the others are divided by much."""
    whole: dict[str, Any] = {"rope_type": "proportional", "partial_rotary_factor": 1.0}
    if fields.has(rope.FREQUENCIES):
        divisors = rope.vector(fields, rope.FREQUENCIES, head_dim // 2)
        turning = sum(divisor == 1 for divisor in divisors)
        if not turning or divisors != [1.0] * turning + [_STILL] * (len(divisors) - turning):
            raise fields.error(f"{rope.FREQUENCIES} is not a known rope scaling")
        whole["partial_rotary_factor"] = turning / len(divisors)
    return {
        "full_attention": {**whole, "rope_theta": fields.real("rope.freq_base", 1e6)},
        "sliding_attention": {
            "rope_type": "default",
            "rope_theta": fields.real("rope.freq_base_swa", 1e4),
        },
    }


def _told(size: Sizes, told: int, rows: int) -> list[Take]:
    """What stands once for all layers."""
    columns = size.layers * told
    model = "model.per_layer_model_projection"
    return [
        Take("model.embed_tokens_per_layer.weight", _TABLE, (rows, columns)),
        *layout.linear(model, "per_layer_model_proj", columns, size.width),
        *layout.norm("model.per_layer_projection_norm", "per_layer_proj_norm", told),
    ]


def _mixture(fields: Fields, width: int, count: int, hidden: int) -> list[Take | Woven]:
    """What is beside the MLP of a layer; hidden: of one expert.

    Gates and ups are one stack, each gate above its up, or by themselves, as a converter is asked.
    """
    name = f"{LAYER}.experts.gate_up_proj"
    *pair, gate_up, down = (
        f"{BLOCK}.ffn_{part}_exps.weight" for part in ("gate", "up", "gate_up", "down")
    )
    both: Take | Woven = Take(name, gate_up, (count, 2 * hidden, width))
    if not fields.has("blk.0.ffn_gate_up_exps.weight"):
        both = Woven(name, tuple(pair), (count, hidden, width), above=True)
    return [
        both,
        Take(f"{LAYER}.experts.down_proj", down, (count, width, hidden)),
        *layout.linear(f"{LAYER}.router.proj", f"{BLOCK}.ffn_gate_inp", count, width),
        Take(f"{LAYER}.router.scale", f"{BLOCK}.ffn_gate_inp.scale", (width,)),
        Take(f"{LAYER}.router.per_expert_scale", f"{BLOCK}.ffn_down_exps.scale", (count,)),
        *layout.norms(width, _MIXTURE_NORMS),
    ]


def _layer(
    size: Sizes,
    layer: int,
    shape: tuple[int, int],
    hidden: int,
    reads: bool,
    equal: bool,
    told: int,
) -> list[Take]:
    """One layer; shape: features of a head, heads of keys."""
    at, block, width = f"model.layers.{layer}", f"blk.{layer}", size.width
    (head_dim, kv_heads), theirs = shape, f"{at}.self_attn"
    queries, keys = size.heads * head_dim, kv_heads * head_dim
    found = [
        *layout.linear(f"{theirs}.q_proj", f"{block}.attn_q", queries, width),
        *layout.linear(f"{theirs}.o_proj", f"{block}.attn_output", width, queries),
        *layout.norm(f"{theirs}.q_norm", f"{block}.attn_q_norm", head_dim),
    ]
    if not reads:
        found += layout.linear(f"{theirs}.k_proj", f"{block}.attn_k", keys, width)
        found += layout.norm(f"{theirs}.k_norm", f"{block}.attn_k_norm", head_dim)
        if not equal:
            found += layout.linear(f"{theirs}.v_proj", f"{block}.attn_v", keys, width)
    for name, part, rows, columns in (
        ("gate_proj", "ffn_gate", hidden, width),
        ("up_proj", "ffn_up", hidden, width),
        ("down_proj", "ffn_down", width, hidden),
    ):
        found += layout.linear(f"{at}.mlp.{name}", f"{block}.{part}", rows, columns)
    norms = dict(gemma2.NORMS)
    if told:
        norms["post_per_layer_input_norm"] = "post_norm"
        gate, out = f"{at}.per_layer_input_gate", f"{at}.per_layer_projection"
        found += layout.linear(gate, f"{block}.inp_gate", told, width)
        found += layout.linear(out, f"{block}.proj", width, told)
    for name, source in norms.items():
        found += layout.norm(f"{at}.{name}", f"{block}.{source}", width)
    found.append(Take(f"{at}.layer_scalar", f"{block}.layer_output_scale.weight", (1,)))
    return found
