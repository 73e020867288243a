"""Gemma 4, its text model: layers that see everything have heads of their own size, some layers
meet the keys and values of earlier ones, and each may be told of its token by itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gptcli.engine.model import llama_names
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.experts import SharedExpert
from gptcli.engine.model.layer_inputs import LayerInputs
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.rope_fields import rope
from gptcli.engine.model.rules import Rule, Rules, linear
from gptcli.engine.model.size_fields import ACTIVATIONS, FULL, SLIDING, mixture, rms_norm, sizes
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec

SUPPORTS = "Gemma 4 E2B, E4B, 26B-A4B and 31B, text only as they are"
#: What a config may leave out.
SIZES = {
    "hidden_size": 2304,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "intermediate_size": 9216,
    "num_hidden_layers": 30,
    "vocab_size": 262144,
    "max_position_embeddings": 131072,
    "sliding_window": 512,
    "rope_parameters": {
        SLIDING: {"rope_type": "default", "rope_theta": 1e4},
        FULL: {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
    },
}
#: One of so many layers sees everything.
_PERIOD = 6
_INPUTS, _INPUT_ROWS = "hidden_size_per_layer_input", "vocab_size_per_layer_input"


def spec(config: ConfigFields) -> ModelSpec:
    """Field names and defaults are those of transformers' Gemma4TextConfig."""
    found = common(config.over(SIZES))
    found = replace(found, layer_inputs=_inputs(config, found.vocab))
    return _mixed(config, found) if config.flag("enable_moe_block", False) else found


def _mixed(config: ConfigFields, spec: ModelSpec) -> ModelSpec:
    """With experts beside the MLP of every layer."""
    config.refuse_unless("use_double_wide_mlp", False)
    experts = mixture(
        config,
        count=config.count("num_experts"),
        chosen=config.count("top_k_experts"),
        hidden=config.count("moe_intermediate_size"),
        normalised=True,
        shared=SharedExpert(spec.hidden),
        apart=True,
    )
    layers = tuple(replace(each, mixture=True) for each in spec.each_layer)
    return replace(spec, experts=experts, each_layer=layers)


def common(config: ConfigFields) -> ModelSpec:
    """What all sizes of Gemma 4 share. Images alone may look ahead, never a text."""
    config.refuse_unless("use_bidirectional_attention", False, "vision")
    size, norm, bias = sizes(config), rms_norm(config), config.flag("attention_bias", False)
    softcap = "final_logit_softcapping"
    return ModelSpec(
        **size,
        each_layer=_layers(config, size),
        norm=norm,
        activation=config.one_of("hidden_activation", ACTIVATIONS, "gelu_pytorch_tanh"),
        gated=True,
        tied=config.flag("tie_word_embeddings", True),
        qkv_bias=bias,
        out_bias=bias,
        head_norm=HeadNorm(norm, over="head"),
        value_norm=norm.eps,
        attention_scale=1.0,
        norms="both",
        embedding_scale=size["width"] ** 0.5,
        final_softcap=None if config.get(softcap) is None else config.number(softcap),
        layer_scales=True,
    )


def _layers(config: ConfigFields, size: dict[str, Any]) -> tuple[LayerSpec, ...]:
    count = config.layers("num_hidden_layers")
    default = [SLIDING if (layer + 1) % _PERIOD else FULL for layer in range(count)]
    kinds = list(config.words("layer_types", count, (FULL, SLIDING)) or default)
    kinds[-1] = FULL  # as transformers has it, whatever the config says
    window, equal = config.count("sliding_window"), config.flag("attention_k_eq_v", False)
    double = config.flag("use_double_wide_mlp", False)
    found = []
    for layer, kind in enumerate(kinds):
        reads = _read(config, kinds, layer)
        shape = _shape(config, size, layer, kind)
        if reads is not None and double:
            shape = replace(shape, hidden=2 * shape.hidden)
        found.append(
            LayerSpec(
                rope(config, shape.head_dim, kind=kind),
                window if kind == SLIDING else None,
                shape=shape,
                reads=reads,
                values_are_keys=equal and kind == FULL and reads is None,
            )
        )
    return tuple(found)


def _read(config: ConfigFields, kinds: list[str], layer: int) -> int | None:
    """The last layer of its kind that has keys and values, for the layers behind those."""
    name = "num_kv_shared_layers"
    shared = config.count(name) if config.get(name) else 0
    first = len(kinds) - shared
    if layer < first:
        return None
    own = [at for at in range(first) if kinds[at] == kinds[layer]]
    if not own:
        raise config.bad(name, f"is {shared}, which leaves no {kinds[layer]} layer to read from")
    return own[-1]


def _shape(config: ConfigFields, size: dict[str, Any], layer: int, kind: str) -> LayerShape:
    """What a layer says of itself, or as older configs have it, what all that see everything do."""
    kv_heads, head_dim = size["kv_heads"], size["head_dim"]
    each = config.sub("per_layer_config")
    if each is not None:
        # As many digits as the largest number has.
        named = {name.lstrip("0") or "0": name for name in each.names()}
        own = each.sub(named.get(str(layer), str(layer)))
        if own is not None:
            own.refuse_others("head_dim", "num_key_value_heads")
            head_dim = own.count("head_dim", head_dim)
            kv_heads = own.count("num_key_value_heads", kv_heads)
    elif kind == FULL:
        head_dim = config.count("global_head_dim", 512)
        if config.flag("attention_k_eq_v", False):
            kv_heads = config.count("num_global_key_value_heads", kv_heads)
    if size["heads"] % kv_heads:
        reason = f"{kv_heads} does not divide {size['heads']} heads in layer {layer}"
        raise config.bad("num_global_key_value_heads", reason)
    return LayerShape(size["heads"], kv_heads, head_dim, size["hidden"])


def _inputs(config: ConfigFields, vocab: int) -> LayerInputs | None:
    if config.has(_INPUTS) and config.get(_INPUTS) in (0, None):
        return None
    rows = config.count(_INPUT_ROWS, 262144)
    if rows < vocab:
        raise config.bad(_INPUT_ROWS, f"is {rows}, but there are {vocab} tokens")
    return LayerInputs(config.count(_INPUTS, 256), rows)


def rules(spec: ModelSpec) -> Rules:
    """What is stored of layers that meet the keys and values of others is left out."""
    readers = [str(at) for at, each in enumerate(spec.each_layer) if each.reads is not None]
    spare = rf"layers\.({'|'.join(readers)})\.self_attn\.[kv]_(proj|norm)\.(weight|bias)"
    found = llama_names.rules(
        spec,
        mlp=_mixture_rules(spec.experts.count) if spec.experts is not None else None,
        mlp_norm="pre_feedforward_layernorm",
        ignored=(spare,) if readers else (),
    )
    more = [Rule("layers.{i}.layer_scalar", "layers.{i}.scale")]
    if spec.layer_inputs is not None:
        ours = "layers.{i}.told"
        more += [
            *linear("embed_tokens_per_layer", "layer_inputs.table", bias=False),
            *linear("per_layer_model_projection", "layer_inputs.project", bias=False),
            *linear("per_layer_projection_norm", "layer_inputs.norm", bias=False),
            *linear("layers.{i}.per_layer_input_gate", f"{ours}.gate", bias=False),
            *linear("layers.{i}.per_layer_projection", f"{ours}.out", bias=False),
            *linear("layers.{i}.post_per_layer_input_norm", f"{ours}.norm", bias=False),
        ]
    return replace(found, rules=(*found.rules, *more))


def _mixture_rules(experts: int) -> list[Rule]:
    """The MLP of a layer is the shared expert of its mixture."""
    theirs, ours = "layers.{i}", "layers.{i}.mlp"
    both = (f"{ours}.experts.{{n}}.gate.weight", f"{ours}.experts.{{n}}.up.weight")
    down = f"{ours}.experts.{{n}}.down.weight"
    norms = {
        "pre_feedforward_layernorm_2.weight": "experts_norm.weight",
        "post_feedforward_layernorm_1.weight": "shared_post_norm.weight",
        "post_feedforward_layernorm_2.weight": "experts_post_norm.weight",
        "router.scale": "router_norm.weight",
        "router.proj.weight": "router.weight",
        "router.per_expert_scale": "expert_scales",
        **{f"mlp.{part}_proj.weight": f"shared.{part}.weight" for part in ("gate", "up", "down")},
    }
    return [
        *(Rule(f"{theirs}.{stored}", f"{ours}.{into}") for stored, into in norms.items()),
        Rule(f"{theirs}.experts.gate_up_proj", both, members=experts),
        Rule(f"{theirs}.experts.down_proj", down, members=experts),
    ]
