"""Fields of config.json about mixtures, as DeepSeek named them and many took over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, Literal

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.experts import Experts, Groups, SharedExpert
from gptcli.engine.model.size_fields import mixture
from gptcli.engine.model.spec import LayerSpec


def corrected(config: ConfigFields, **defaults: Any) -> Experts:
    """Sigmoids, and a correction by which the best are chosen in the best groups by their two best.

    That is DeepSeek-V3's routing, "noaux_tc". defaults: of `_experts`.
    """
    config.refuse_unless("scoring_func", "sigmoid")
    config.refuse_unless("topk_method", "noaux_tc")
    return _experts(config, score="sigmoid", best=2, correction=True, **defaults)


def greedy(config: ConfigFields, **defaults: Any) -> Experts:
    """Softmax, and the best ones of all, or of the groups that have the best: DeepSeek-V2's."""
    config.refuse_unless("scoring_func", "softmax")
    methods = {"greedy": False, "group_limited_greedy": True}
    grouped = config.one_of("topk_method", methods, "greedy")
    found = _experts(config, score="softmax", best=1, correction=False, **defaults)
    return found if grouped else replace(found, groups=None)


def _experts(
    config: ConfigFields,
    *,
    score: Literal["softmax", "sigmoid"],
    best: int,
    correction: bool,
    count: int,
    chosen: int,
    hidden: int,
    normalised: bool,
    scale: float,
    groups: tuple[int, int] = (1, 1),
    shared: int = 1,
) -> Experts:
    hidden = config.count("moe_intermediate_size", hidden)
    beside = none_or(config, "n_shared_experts", shared)
    return mixture(
        config,
        count=config.count("n_routed_experts", count),
        chosen=config.count("num_experts_per_tok", chosen),
        hidden=hidden,
        normalised=config.flag("norm_topk_prob", normalised),
        score=score,
        correction=correction,
        groups=_groups(config, groups, best),
        scale=config.number("routed_scaling_factor", scale),
        shared=SharedExpert(beside * hidden) if beside else None,
    )


def _groups(config: ConfigFields, default: tuple[int, int], best: int) -> Groups | None:
    """None where all groups are chosen."""
    count, chosen = config.count("n_group", default[0]), config.count("topk_group", default[1])
    return None if count == chosen else Groups(count, chosen, best)


def none_or(config: ConfigFields, name: str, default: int = 0) -> int:
    """A count that may be 0."""
    value = config.get(name)
    value = default if value is None else value
    # A true or false is none, though Python takes it for one.
    return 0 if value == 0 and value is not False else config.count(name, default)


def after_dense(
    config: ConfigFields, layers: Collection[LayerSpec], default: int
) -> tuple[LayerSpec, ...]:
    """Layers with a mixture but for the first ones, `first_k_dense_replace`."""
    first = none_or(config, "first_k_dense_replace", default)
    return tuple(replace(each, mixture=i >= first) for i, each in enumerate(layers))
