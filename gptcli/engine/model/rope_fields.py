"""The rope fields of config.json: flat, in `rope_scaling`, or in transformers 5's
`rope_parameters`, there also one for each kind of layer.
"""

from __future__ import annotations

import math

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.rotations import (
    DynamicScaling,
    LinearScaling,
    Llama3Scaling,
    LongRopeScaling,
    Rope,
    Scaling,
    YarnScaling,
)

FULL, SLIDING = "full_attention", "sliding_attention"
#: Nothing is stretched so far; powers and logarithms of more have no floats.
_MOST_FACTOR = 1 << 20
_KNOWN = "default, linear, dynamic, llama3, yarn, longrope, proportional"


def rope(
    config: ConfigFields,
    head_dim: int,
    *,
    theta: float = 10000.0,
    partial: float = 1.0,
    kind: str | None = None,
    interleaved: bool = False,
) -> Rope:
    """The rotary positions of a config. Raises ModelError for a rope type that is not known.

    theta, partial: the family's defaults; kind: the layers it is for, where they differ.
    """
    places = _places(config, kind)
    if not places:
        return _rope(config, None, head_dim, theta, partial, interleaved)
    found = [_rope(config, each, head_dim, theta, partial, interleaved) for each in places]
    if found[0] != found[-1]:
        raise config.bad("rope_scaling", "contradicts 'rope_parameters': one of the two must go")
    return found[0]


def by_sight(config: ConfigFields, head_dim: int, *, near: float, wide: float) -> tuple[Rope, Rope]:
    """The ropes of layers with a window and of those that see all, from bases of their own.

    The rope scaling of a config without `rope_parameters` is that of the latter alone.
    """
    whole = rope(config, head_dim, theta=wide, kind=FULL)
    if config.get("rope_parameters") is None:
        return Rope(near, head_dim), whole
    return rope(config, head_dim, theta=near, kind=SLIDING), whole


def _places(config: ConfigFields, kind: str | None = None) -> list[ConfigFields]:
    """Where rope parameters stand: in transformers 5's `rope_parameters`, in `rope_scaling`.

    The latter says nothing of layers with a window, where these have a rope of their own.
    """
    new, old = config.sub("rope_parameters"), config.sub("rope_scaling")
    if new is not None:
        new = _of_kind(new, kind)
    if new is not None and old is not None:
        kept = {name: new.get(name) for name in ("rope_theta", "partial_rotary_factor")}
        old = old.over({name: value for name, value in kept.items() if config.get(name) is None})
        old = None if kind == SLIDING else old
    return [each for each in (new, old) if each is not None and each.names()]


def doubled(config: ConfigFields) -> list[str]:
    """What `rope_parameters` says otherwise than the fields beside it, in words."""
    new, found = config.sub("rope_parameters"), []
    for name in ("rope_theta", "partial_rotary_factor"):
        beside, taken = config.get(name), new.get(name) if new is not None else None
        if beside is not None and taken is not None and beside != taken:
            text = f"{name!r} is {beside!r}, and in 'rope_parameters' {taken!r}, which is taken"
            found.append(text)
    return found


def _rope(
    config: ConfigFields,
    fields: ConfigFields | None,
    head_dim: int,
    theta: float,
    partial: float,
    interleaved: bool,
) -> Rope:
    base = config.number("rope_theta", theta)
    part = config.number("partial_rotary_factor", partial)
    if fields is not None:
        base = fields.number("rope_theta", base)
        part = fields.number("partial_rotary_factor", part)
    if fields is not None and _kind(fields) == "proportional":
        return _proportional(fields, base, head_dim, part, interleaved)
    dim = int(head_dim * min(part, 1))
    if fields is not None and _kind(fields) == "dynamic" and fields.get("alpha") and dim > 2:
        # Hunyuan's: the base grows once and for all.
        return Rope(_grown(fields, base, dim), dim, None, interleaved)
    if part > 1 or dim % 2 or not dim:
        reason = f"must make an even number of {head_dim} features, not {part:g} of them"
        raise config.bad("partial_rotary_factor", reason)
    scaling = _scaling(config, fields, dim) if fields else None
    if isinstance(scaling, YarnScaling) and base <= 1:
        # Its formula divides by the logarithm.
        raise config.bad("rope_theta", f"must be more than 1 with yarn, not {base:g}")
    return Rope(base, dim, scaling, interleaved)


def _proportional(
    fields: ConfigFields, theta: float, head_dim: int, part: float, interleaved: bool
) -> Rope:
    """A part of the pairs turns as if all did."""
    turning = int(part * head_dim // 2) if part <= 1 else 0
    if head_dim % 2 or not turning:
        reason = f"must make some of {head_dim} features, an even number, not {part:g} of them"
        raise fields.bad("partial_rotary_factor", reason)
    factor = fields.number("factor", 1.0)
    scaling = None if factor == 1 else LinearScaling(factor)
    turns = turning if 2 * turning < head_dim else None
    return Rope(theta, head_dim, scaling, interleaved, turning=turns)


def _grown(fields: ConfigFields, theta: float, dim: int) -> float:
    """The base with what `alpha` makes of it (NTK-aware scaling)."""
    grown = theta * _factor(fields, name="alpha") ** (dim / (dim - 2))
    return fields.made("alpha", grown)


def _of_kind(fields: ConfigFields, kind: str | None) -> ConfigFields | None:
    if kind is not None and fields.has(kind):
        return fields.sub(kind)
    for other in (FULL, SLIDING):
        if fields.has(other) and kind is None:
            raise fields.bad(other, "has a rope of its own, which gptcli does not support here")
    return fields


def context(config: ConfigFields, default: int | None = None) -> int:
    """How many tokens the model was made for; yarn and dynamic scaling make it longer."""
    stated = config.count("max_position_embeddings", default)
    places = _places(config, FULL)
    if not places:
        return stated
    fields = places[0]
    if _kind(fields) == "dynamic" and not fields.get("alpha"):
        return _stretched(fields, stated)
    if _kind(fields) == "yarn" and fields.get("factor") is not None:
        original = fields.count("original_max_position_embeddings", stated)
        return max(stated, _stretched(fields, original))
    return stated


def _stretched(fields: ConfigFields, context: int) -> int:
    """The context, and a factor that makes it as long as a count may be."""
    return ConfigFields(fields.subject, {"factor": int(context * _factor(fields))}).count("factor")


def _factor(fields: ConfigFields, default: float | None = None, name: str = "factor") -> float:
    factor = fields.number(name, default)
    if factor > _MOST_FACTOR:
        raise fields.bad(name, f"must be at most {_MOST_FACTOR}, not {factor:g}")
    return factor


def _kind(fields: ConfigFields) -> str:
    # "type" is the name that configs had before transformers 4.43, "su" that of longrope; positions
    # of images have three numbers, which are the same in a text.
    kind = fields.word("rope_type", fields.word("type", "default"))
    return {"su": "longrope", "mrope": "default"}.get(kind, kind)


def _scaling(config: ConfigFields, fields: ConfigFields, dim: int) -> Scaling | None:
    kind = _kind(fields)
    if kind == "default":
        return None
    if kind == "linear":
        return LinearScaling(fields.number("factor"))
    if kind == "llama3":
        low, high = fields.number("low_freq_factor"), fields.number("high_freq_factor")
        if not low <= high:
            raise fields.bad("high_freq_factor", f"must be at least low_freq_factor, {low:g}")
        original = fields.count("original_max_position_embeddings")
        return Llama3Scaling(fields.number("factor"), low, high, original)
    if kind == "dynamic":
        if dim < 4:
            raise fields.bad("rope_type", f"dynamic needs more than {dim} rotated features")
        factor = _factor(fields)
        if factor < 1:
            raise fields.bad("factor", f"must be at least 1, not {factor:g}")
        return DynamicScaling(factor, config.count("max_position_embeddings"))
    if kind == "yarn":
        return _yarn(config, fields)
    if kind == "longrope":
        return _longrope(config, fields, dim)
    raise fields.bad("rope_type", f"{kind!r} is not supported (known: {_KNOWN})")


def _original(config: ConfigFields, fields: ConfigFields) -> int:
    stated = config.get("original_max_position_embeddings")
    if stated is not None:
        return config.count("original_max_position_embeddings")
    default = config.count("max_position_embeddings")
    return fields.count("original_max_position_embeddings", default)


def _yarn(config: ConfigFields, fields: ConfigFields) -> YarnScaling:
    original = _original(config, fields)
    stretched = config.count("max_position_embeddings") / original
    factor = _factor(fields, stretched)
    weights = fields.get("mscale"), fields.get("mscale_all_dim")
    if all(weights):
        own, all_dim = fields.number("mscale"), fields.number("mscale_all_dim")
        default = _magnitude(factor, own) / _magnitude(factor, all_dim)
    else:
        default = _magnitude(factor, 1.0)
    fast, slow = fields.number("beta_fast", 32.0), fields.number("beta_slow", 1.0)
    if not slow <= fast:
        raise fields.bad("beta_fast", f"must be at least beta_slow, {slow:g}")
    for name, turns in (("beta_fast", fast), ("beta_slow", slow)):
        if not 1 / _MOST_FACTOR <= turns <= _MOST_FACTOR:
            raise fields.bad(name, f"must be a number of turns, not {turns:g}")
    amplitude = fields.number("attention_factor", default)
    return YarnScaling(factor, original, amplitude, fast, slow, fields.flag("truncate", True))


def sharpening(config: ConfigFields) -> float:
    """What DeepSeek's YaRN makes of scores beside their scale, by `mscale_all_dim`."""
    places = _places(config)
    if not places or _kind(places[0]) == "default" or not places[0].get("mscale_all_dim"):
        return 1.0
    magnitude = _magnitude(_factor(places[0]), places[0].number("mscale_all_dim"))
    # Not a power, which raises where a product is infinite.
    return places[0].made("mscale_all_dim", magnitude * magnitude)


def _magnitude(factor: float, weight: float) -> float:
    """YaRN's 0.1 ln(factor) + 1."""
    return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0


def _longrope(config: ConfigFields, fields: ConfigFields, dim: int) -> LongRopeScaling:
    original = _original(config, fields)
    factor = fields.number("factor", config.count("max_position_embeddings") / original)
    default = 1.0
    if factor > 1:
        if original < 2:
            reason = "must be more than 1"
            raise fields.bad("original_max_position_embeddings", reason)
        default = math.sqrt(1 + math.log(factor) / math.log(original))
    amplitude = fields.number("attention_factor", default)
    short = fields.numbers("short_factor", dim // 2)
    return LongRopeScaling(short, fields.numbers("long_factor", dim // 2), original, amplitude)
