"""Fields of config.json that many families share, under the names of transformers' LlamaConfig."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gptcli.engine.model import rope_fields
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.experts import Experts
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.spec import LayerSpec, NormSpec

FULL, SLIDING = rope_fields.FULL, rope_fields.SLIDING
#: Each expert is built before its tensors are looked for.
_MAX_EXPERTS = 1 << 12
ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "relu2": "relu_squared",
}


def sizes(config: ConfigFields, *, context: int | None = 2048) -> dict[str, Any]:
    """The sizes of a ModelSpec: width, heads, head_dim, MLP, vocabulary, context."""
    width, heads = config.count("hidden_size"), config.count("num_attention_heads")
    kv_heads = config.count("num_key_value_heads", heads)
    if heads % kv_heads:
        raise config.bad("num_key_value_heads", f"{kv_heads} does not divide {heads} heads")
    return {
        "width": width,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": head_dim(config, width, heads),
        "hidden": config.count("intermediate_size"),
        "vocab": config.count("vocab_size"),
        "context": rope_fields.context(config, context),
    }


def head_dim(
    config: ConfigFields, width: int, heads: int, name: str = "num_attention_heads"
) -> int:
    """`head_dim`, else the width divided by the heads, which must come out even."""
    if config.get("head_dim") is None and width % heads:
        raise config.bad(name, f"{heads} does not divide hidden_size, {width}")
    return config.count("head_dim", max(1, width // heads))


def rms_norm(config: ConfigFields, eps: float = 1e-6) -> NormSpec:
    """The RMSNorm of a config."""
    return NormSpec("rmsnorm", config.number("rms_norm_eps", eps))


def window_in_use(config: ConfigFields) -> int | None:
    """`sliding_window` where `use_sliding_window` says that there is one."""
    used = config.flag("use_sliding_window", False)
    return config.optional_count("sliding_window") if used else None


def mixture(
    config: ConfigFields,
    *,
    count: int,
    chosen: int,
    hidden: int,
    normalised: bool,
    **more: Any,
) -> Experts:
    """A mixture of experts that can be: no token goes through more of them than there are.

    more: other fields of Experts.
    """
    if count > _MAX_EXPERTS:
        raise config.bad("num_experts", f"is {count}, more than {_MAX_EXPERTS}")
    if chosen > count:
        raise config.bad("num_experts_per_tok", f"is {chosen}, but there are {count} experts")
    experts = Experts(count, chosen, hidden, normalised, **more)
    groups = experts.groups
    if groups is not None:
        if count % groups.count:
            raise config.bad("n_group", f"{groups.count} does not divide {count} experts")
        if groups.chosen > groups.count:
            raise config.bad("topk_group", f"is {groups.chosen}, but there are {groups.count}")
        inside = count // groups.count
        if groups.best > inside or chosen > groups.chosen * inside:
            reason = f"is {groups.count}, which leaves {inside} experts in a group, too few"
            raise config.bad("n_group", reason)
    return experts


def alike(config: ConfigFields, layer: LayerSpec) -> tuple[LayerSpec, ...]:
    """As many layers as the config says, all alike."""
    return (layer,) * config.layers("num_hidden_layers")


def by_kind(
    config: ConfigFields, window: int | None, ropes: Sequence[Rope | None], kinds: Sequence[str]
) -> tuple[LayerSpec, ...]:
    """A layer for each entry of `layer_types`, `kinds` where the config has none.

    ropes: that of each layer. Raises ModelError for a kind of layer that is not known, and for
    sliding layers without a window.
    """
    found = config.words("layer_types", len(kinds), (FULL, SLIDING)) or tuple(kinds)
    if SLIDING in found and window is None:
        raise config.bad("sliding_window", "is missing, but there are layers with a window")
    return tuple(
        LayerSpec(rope, window if kind == SLIDING else None)
        for kind, rope in zip(found, ropes, strict=True)
    )
