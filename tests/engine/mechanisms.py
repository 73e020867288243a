"""What of a model may go wrong by itself, told by its spec, and the few models that have it all.

What holds for every way through a model is tested where a mechanism is new; which family it comes
from is data. The families' own weights and logits are compared for each of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterator, Mapping, Set

from gptcli.engine.model.latents import Latents
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.mixers import Recurrence, ShortConv
from gptcli.engine.model.rotations import DynamicScaling, LongRopeScaling, Temperature
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import LayerSpec, ModelSpec

Mechanism = tuple[Hashable, ...]


def _facts(value: object) -> Iterator[Mechanism]:
    """What each field of a spec says, but for which number it is where it is not the usual one."""
    for field in dataclasses.fields(value) if dataclasses.is_dataclass(value) else ():
        each, usual = getattr(value, field.name), field.default
        for part in each if isinstance(each, tuple) else (each,):
            yield from _facts(part)
            if each != usual and isinstance(part, int | float) and not isinstance(part, bool):
                part = "a number"
            yield type(value), field.name, type(part) if dataclasses.is_dataclass(part) else part


def _sharing(shape: LayerShape) -> str:
    if shape.kv_heads == shape.heads:
        return "each head its keys"
    return "one key for all heads" if shape.kv_heads == 1 else "groups of heads"


def _mixing(each: LayerSpec) -> Mechanism:
    """What a layer reads other tokens by, all of it together, but for the numbers."""
    there = each.rope, each.window, each.chunk, each.reads, each.temperature, each.shape
    present = (part is not None for part in there)
    return *_halves(each), *present, each.normed_heads, each.values_are_keys


def _halves(each: LayerSpec) -> Mechanism:
    """Which of its two blocks a layer has, and of what kind."""
    rule = each.mixer.rule if isinstance(each.mixer, Recurrence) else None
    return type(each.mixer), rule, each.beside, each.mixes, each.thinks


def mechanisms(spec: ModelSpec) -> frozenset[Mechanism]:
    """Every choice by itself, and those together that meet in one piece of code."""
    found = set(_facts(spec))
    for layer, (each, shape) in enumerate(zip(spec.each_layer, spec.shapes, strict=True)):
        found.add(("mixing", *_mixing(each)))
        found.add(("first layer" if layer == 0 else "later layer", *_halves(each), each.mixture))
        if each.attends:
            sees = each.window is not None, each.chunk is not None, spec.latents is not None
            found.add(("heads", _sharing(shape), *sees))
            if each.rope:
                found.add(("rope", each.rope.interleaved, each.rope.dim < shape.head_dim))
    found.add(("blocks", spec.norms, spec.blocks))
    found.add(("mlp", spec.gated, spec.activation))
    if spec.head_norm:
        found.add(("heads' norm", spec.head_norm.over, spec.head_norm.norm.kind))
    return frozenset(found)


#: What tells of what a token leaves behind for others, and of how they come to it.
_OVER_TIME = {
    *(LayerSpec, Recurrence, ShortConv, Latents),
    *(DynamicScaling, LongRopeScaling, Temperature, "mixing", "heads", "rope"),
}
_OF_A_MODEL = {"alibi", "learned_positions", "sinks", "attention_softcap"}


def over_time(spec: ModelSpec) -> frozenset[Mechanism]:
    """Those by which a token has to do with others: what is a token's own is no matter of states,
    chunks, rows and positions.
    """
    return frozenset(
        each
        for each in mechanisms(spec)
        if each[0] in _OVER_TIME or (each[0] is ModelSpec and each[1] in _OF_A_MODEL)
    )


def storing(rules: Rules) -> frozenset[Mechanism]:
    """The ways in which checkpoints have what becomes a parameter, but for names and numbers."""
    found: set[Mechanism] = {("prefix", bool(rules.prefix))}
    for rule in rules.rules:
        stored, *mine = "{n}" in rule.stored, *("{n}" in name for name in rule.targets)
        usual = (getattr(rule, each.name) == each.default for each in dataclasses.fields(rule)[2:])
        found.add((stored, all(mine), len(mine) > 1, *usual))
    return frozenset(found)


def cover(known: Mapping[str, Set[Hashable]]) -> list[str]:
    """Few of the models that have between them what all of them have, by name.

    Greedy: the one with most that is new, again and again.
    """
    left, found = frozenset[Hashable]().union(*known.values()), list[str]()
    while left:
        found.append(max(sorted(known), key=lambda name: len(known[name] & left)))
        left -= known[found[-1]]
    # Some that came early have nothing left that those which came later lack.
    for name in tuple(found):
        others = frozenset[Hashable]().union(*(known[each] for each in found if each != name))
        if known[name] <= others:
            found.remove(name)
    return sorted(found)
