"""The rope fields of config.json, in the flat form and in transformers 5's `rope_parameters`."""

from __future__ import annotations

from gptcli.engine.config_fields import ConfigFields
from gptcli.engine.spec import LinearScaling, Llama3Scaling, Rope

_DEFAULT_THETA = 10000.0


def rope(config: ConfigFields, head_dim: int) -> Rope:
    """The rotary positions of a config. Raises ModelError for a rope type that is not known."""
    fields = config.sub("rope_parameters")
    theta = config.number("rope_theta", _DEFAULT_THETA)
    if fields is not None:
        theta = fields.number("rope_theta", theta)
    else:
        fields = config.sub("rope_scaling")
    holder = fields or config
    partial = holder.number("partial_rotary_factor", config.number("partial_rotary_factor", 1.0))
    dim = int(head_dim * min(partial, 1))
    if partial > 1 or dim % 2 or not dim:
        reason = f"must make an even number of {head_dim} features, not {partial:g} of them"
        raise config.bad("partial_rotary_factor", reason)
    return Rope(theta, dim, _scaling(fields) if fields else None)


def _scaling(fields: ConfigFields) -> LinearScaling | Llama3Scaling | None:
    # "type" is the name that configs had before transformers 4.43.
    kind = fields.word("rope_type", fields.word("type", "default"))
    if kind == "default":
        return None
    if kind == "linear":
        return LinearScaling(fields.number("factor"))
    if kind == "llama3":
        low, high = fields.number("low_freq_factor"), fields.number("high_freq_factor")
        if not low < high:
            raise fields.bad("high_freq_factor", f"must be more than low_freq_factor, {low:g}")
        context = fields.count("original_max_position_embeddings")
        return Llama3Scaling(fields.number("factor"), low, high, context)
    raise fields.bad("rope_type", f"{kind!r} is not supported (known: default, linear, llama3)")
