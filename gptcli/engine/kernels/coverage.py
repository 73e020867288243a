"""Which models the kernels can run."""

from __future__ import annotations

import dataclasses

from gptcli.engine.kernels.abi import ACTIVATIONS, OVER_HEADS, PARALLEL
from gptcli.engine.spec import LayerSpec, ModelSpec

#: What the kernels know of a spec. A field that is added to it is not known here until somebody
#: writes it into the kernels: a model that uses it goes through torch.
_KNOWN = {
    ModelSpec: {
        *("width", "heads", "kv_heads", "head_dim", "hidden", "vocab", "context", "each_layer"),
        *("norm", "activation", "gated", "tied", "learned_positions", "alibi", "qkv_bias"),
        *("out_bias", "mlp_bias", "head_bias", "head_norm", "attention_scale", "sinks"),
        *("attention_softcap", "experts", "gate_limit", "up_offset", "norms", "blocks"),
        *("residual_scale", "embedding_norm", "embedding_scale", "logit_scale", "final_softcap"),
    },
    LayerSpec: {"rope", "window", "mixture"},
}


def covers(spec: ModelSpec) -> str | None:
    """None where the kernels can run such a model, else why they cannot, in a few words."""
    parts: tuple[ModelSpec | LayerSpec, ...] = (spec, *spec.each_layer)
    for part in parts:
        for field in dataclasses.fields(part):
            if field.name not in _KNOWN[type(part)] and getattr(part, field.name) != field.default:
                return f"they do not know {field.name}"
    if spec.activation not in ACTIVATIONS:
        return f"they do not know the activation {spec.activation}"
    if spec.head_norm is not None and spec.head_norm.over not in OVER_HEADS:
        return f"they do not know a norm over {spec.head_norm.over}"
    if spec.blocks not in PARALLEL:
        return f"they do not know {spec.blocks} blocks"
    return None
