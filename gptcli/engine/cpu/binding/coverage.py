"""Which models the kernels can run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from gptcli.engine.cpu.binding.abi import ACTIVATIONS, MOST_TAPS, OVER_HEADS, PARALLEL
from gptcli.engine.model.experts import Experts, Groups, SharedExpert
from gptcli.engine.model.latents import Latents
from gptcli.engine.model.layer_inputs import LayerInputs
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.mixers import MemoryNorm, Recurrence, ShortConv
from gptcli.engine.model.rotations import (
    DynamicScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    Rope,
    Temperature,
    YarnScaling,
)
from gptcli.engine.model.spec import HeadNorm, LayerSpec, ModelSpec, NormSpec, OutputGate

#: As source/mlp.h has room for.
MOST_GROUPS, MOST_GROUP_BEST = 256, 8
#: What the kernels know of a spec. A field that is added to it is not known here until somebody
#: writes it into the kernels: a model that uses it goes through torch.
_KNOWN: dict[type, set[str]] = {
    ModelSpec: {
        *("width", "heads", "kv_heads", "head_dim", "hidden", "vocab", "context", "each_layer"),
        *("norm", "activation", "gated", "tied", "learned_positions", "alibi", "qkv_bias"),
        *("out_bias", "mlp_bias", "head_bias", "head_norm", "attention_scale", "sinks"),
        *("attention_softcap", "experts", "gate_limit", "up_offset", "norms", "blocks"),
        *("attention_gate", "residual_scale", "embedding_norm", "embedding_scale", "logit_scale"),
        *("final_softcap", "attention_out_scale", "gate_scale", "mlp_out_scale", "latents"),
        *("value_norm", "layer_inputs", "layer_scales"),
    },
    LayerSpec: {
        *("rope", "window", "mixture", "shape", "mixer", "beside", "mixes", "thinks"),
        *("chunk", "temperature", "normed_heads", "reads", "values_are_keys"),
    },
    LayerInputs: {"size", "rows"},
    Temperature: {"scale", "length", "first"},
    OutputGate: {"over", "activation"},
    Recurrence: {
        *("heads", "key_heads", "key_dim", "value_dim", "taps", "rule", "norm", "bias"),
        *("filter_bias", "out_bias", "steps", "scales", "out_scale", "by_turns"),
    },
    ShortConv: {"inner", "taps", "bias"},
    MemoryNorm: {"eps", "size", "shared", "gate_first"},
    LayerShape: {"heads", "kv_heads", "head_dim", "hidden", "value_dim"},
    Latents: {"rank", "plain", "turned", "value", "eps", "query_rank", "bias"},
    Rope: {"theta", "dim", "scaling", "interleaved", "turning"},
    NormSpec: {"kind", "eps", "bias", "offset", "weightless"},
    HeadNorm: {"norm", "over", "after_rope"},
    Experts: {
        *("count", "chosen", "hidden", "normalised", "router_bias", "score", "router_softcap"),
        *("correction", "groups", "scale", "on_input", "latent", "shared", "apart"),
    },
    Groups: {"count", "chosen", "best"},
    SharedExpert: {"hidden", "gated"},
    LinearScaling: {"factor"},
    Llama3Scaling: {"factor", "low_freq_factor", "high_freq_factor", "original_context"},
    YarnScaling: {
        *("factor", "original_context", "attention_factor", "beta_fast", "beta_slow", "truncate"),
    },
    DynamicScaling: {"factor", "original_context"},
    LongRopeScaling: {"short", "long", "original_context", "attention_factor"},
}


def covers(spec: ModelSpec) -> str | None:
    """None where the kernels can run such a model, else why they cannot, in a few words."""
    for part in _parts(spec):
        known = next((names for kind, names in _KNOWN.items() if isinstance(part, kind)), None)
        if known is None:
            return f"they do not know {type(part).__name__}"
        for field in dataclasses.fields(part):
            if field.name not in known and getattr(part, field.name) != field.default:
                return f"they do not know {field.name}"
    if spec.activation not in ACTIVATIONS:
        return f"they do not know the activation {spec.activation}"
    if spec.head_norm is not None and spec.head_norm.over not in OVER_HEADS:
        return f"they do not know a norm over {spec.head_norm.over}"
    if any(each.mixer and each.mixer.taps > MOST_TAPS for each in spec.each_layer):
        return f"they do not know a convolution over more than {MOST_TAPS} tokens"
    if spec.norms != "before" and _scales(spec) != {1.0}:
        return "they do not know multipliers before a norm of updates"
    experts = spec.experts
    if experts is not None and experts.score not in ("softmax", "sigmoid"):
        return f"they do not know a router of {experts.score}"
    if experts is not None and experts.on_input and spec.mlp_bias:
        return "they do not know shares of what is read before biases"
    groups = experts.groups if experts is not None else None
    if groups is not None and (groups.count > MOST_GROUPS or groups.best > MOST_GROUP_BEST):
        return f"they do not know {groups.count} groups by the best {groups.best}"
    if spec.norm.weightless:
        return "they do not know norms of the stream without weights"
    if spec.blocks not in PARALLEL:
        return f"they do not know {spec.blocks} blocks"
    return None


def _scales(spec: ModelSpec) -> set[float]:
    """What updates are multiplied by before they are normed."""
    mixers = {
        each.mixer.out_scale for each in spec.each_layer if isinstance(each.mixer, Recurrence)
    }
    return {spec.attention_out_scale, spec.mlp_out_scale, *mixers, 1.0}


def _parts(value: Any) -> Iterator[Any]:
    """The spec and every dataclass in it."""
    if isinstance(value, tuple):
        for each in value:
            yield from _parts(each)
    elif dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from _parts(getattr(value, field.name))
