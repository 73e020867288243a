"""The rotary positions of a GGUF file as config.json has them."""

from __future__ import annotations

import math
from typing import Any

from gptcli.models.gguf.fields import Fields, decimal

_TURNED = "rope.dimension_count"
KEYS = frozenset(
    {
        _TURNED,
        "rope.freq_base",
        "rope.scaling.factor",
        "rope.scaling.original_context_length",
        "rope.scaling.type",
    }
)
#: YaRN's, for those architectures that may have it.
YARN_KEYS = frozenset(
    {
        "rope.scaling.yarn_attn_factor",
        "rope.scaling.yarn_beta_fast",
        "rope.scaling.yarn_beta_slow",
        "rope.scaling.yarn_ext_factor",
    }
)
#: The tensor that holds what Llama 3's scaling divides the frequencies by.
FREQUENCIES = "rope_freqs.weight"
#: The tensors of LongRoPE's divisors, beyond the original context and within it.
_LONG, _SHORT = "rope_factors_long.weight", "rope_factors_short.weight"
LONG = frozenset({_LONG, _SHORT})
#: Llama 3's rope scaling, and Llama 4's: the file holds its effect, not its parameters, and factors
#: differ.
_LLAMA3 = {
    "rope_type": "llama3",
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
_LLAMA4 = {**_LLAMA3, "high_freq_factor": 1.0}


def fields_of(fields: Fields, head_dim: int, base: float = 10000.0) -> dict[str, Any]:
    """`rope_theta` and, where there is one, `rope_scaling`; base: the default of the former.

    Raises ModelError for a scaling that is not known.
    """
    theta = fields.real("rope.freq_base", base)
    found: dict[str, Any] = {"rope_theta": theta}
    scaling = _scaling(fields, head_dim, theta)
    return found if scaling is None else {**found, "rope_scaling": scaling}


def share(fields: Fields, head_dim: int, key: str = _TURNED) -> float:
    """Which share of a head's features is turned. Raises ModelError for one that cannot be.

    key: of how many features that is; without it, as many as elsewhere.
    """
    turned = fields.count(key, fields.count(_TURNED, head_dim))
    if turned > head_dim or turned % 2:
        raise fields.error(f"turns {turned} features of heads that have {head_dim}")
    return turned / head_dim


def _scaling(fields: Fields, head_dim: int, theta: float) -> dict[str, Any] | None:
    fields.fixed("rope.scaling.type", "none", "linear", "yarn")
    kind = fields.get("rope.scaling.type") or "none"
    divided = _divided(fields, head_dim, theta)
    if divided is not None and kind != "none":
        raise fields.error(f"has {FREQUENCIES} beside a rope scaling of type {kind}")
    if kind == "yarn":
        return yarn(fields)
    for factor in ("attn_factor", "yarn_attn_factor"):
        fields.fixed(f"rope.scaling.{factor}", 1)
    fields.fixed("rope.scaling.yarn_ext_factor", 0, -1)
    # Converters write a factor of 1 or 0 where there is no scaling.
    if fields.get("rope.scaling.factor") in (0, 1):
        return divided
    if kind == "linear":
        return {"rope_type": "linear", "factor": fields.real("rope.scaling.factor")}
    fields.fixed("rope.scaling.factor", 0, 1)
    return divided


def yarn(fields: Fields) -> dict[str, Any]:
    """YaRN's parameters: those that the file leaves out have the same defaults everywhere."""
    # Less than 0 stands for what the type of scaling has.
    fields.fixed("rope.scaling.yarn_ext_factor", 1, -1)
    fields.fixed("rope.scaling.attn_factor", 1)
    names = {"yarn_beta_fast": "beta_fast", "yarn_beta_slow": "beta_slow"}
    names["yarn_attn_factor"] = "attention_factor"
    return {
        "rope_type": "yarn",
        "factor": fields.real("rope.scaling.factor"),
        "original_max_position_embeddings": fields.count(
            "rope.scaling.original_context_length", fields.count("context_length")
        ),
        **{
            name: fields.real(f"rope.scaling.{key}")
            for key, name in names.items()
            if fields.get(f"rope.scaling.{key}") is not None
        },
    }


def long(fields: Fields, pairs: int) -> dict[str, Any] | None:
    """LongRoPE's divisors of so many pairs of features; None for a file that has none."""
    if not any(fields.has(name) for name in LONG):
        return None
    return {
        "rope_type": "longrope",
        "type": "longrope",
        "long_factor": vector(fields, _LONG, pairs),
        "short_factor": vector(fields, _SHORT, pairs),
    }


def _divided(fields: Fields, head_dim: int, base: float) -> dict[str, Any] | None:
    """The scaling that has the effect of the file's divisors; None without any, or for ones."""
    import numpy as np

    if FREQUENCIES not in fields.header.tensors:
        return None
    divisors = vector(fields, FREQUENCIES, head_dim // 2)
    if all(divisor == 1 for divisor in divisors):
        return None
    # The longest wave is divided by the factor itself.
    factor = divisors[-1]
    for known in (_LLAMA3, _LLAMA4):
        scaling = {**known, "factor": factor}
        wanted = llama3_divisors(scaling, head_dim, base)
        if factor > 1 and np.allclose(divisors, wanted, rtol=1e-4, atol=0):
            return scaling
    raise fields.error(f"{FREQUENCIES} is not a known rope scaling")


def vector(fields: Fields, name: str, length: int) -> list[float]:
    """The numbers of a small tensor of settings. Raises ModelError for one of another form."""
    import numpy as np

    info = fields.header.tensors.get(name)
    if info is None or info.type != "F32" or info.shape != (length,):
        raise fields.error(f"{name} is missing or of a form that is not supported")
    found = np.memmap(info.file, dtype="<f4", mode="r", offset=info.offset, shape=info.shape)
    if not np.all(np.isfinite(found)) or np.any(found <= 0):
        raise fields.error(f"{name} holds numbers that cannot be")
    return [decimal(number) for number in found]


def llama3_divisors(scaling: dict[str, Any], head_dim: int, base: float) -> list[float]:
    """What Llama 3's rope scaling divides each of the head_dim / 2 frequencies by.

    Low frequencies (long waves) by `factor`, high ones by 1, those between by a mean of both.
    """
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    context, factor = scaling["original_max_position_embeddings"], scaling["factor"]
    found = []
    for pair in range(0, head_dim, 2):
        turns = context / (2 * math.pi * base ** (pair / head_dim))
        # Where nothing is between the two, it is one or the other.
        between = (turns - low) / (high - low) if high > low else turns >= high
        share = min(1.0, max(0.0, between))
        found.append(1 / ((1 - share) / factor + share))
    return found
