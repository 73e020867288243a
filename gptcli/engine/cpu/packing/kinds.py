"""In which kinds a model runs that is stored in blocks or codes, where nobody asks for a dtype."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.parameters import Parameters
from gptcli.engine.cpu.packing.section import EMBEDDING, UNEMBEDDING, Kinds
from gptcli.engine.cpu.packing.told_kinds import Changed, Kept, matrices
from gptcli.engine.model.spec import ModelSpec


def kept_kinds(parameters: Parameters, spec: ModelSpec) -> Kept:
    """The kinds that change no number of a file, matrix by matrix, and what to call them together.

    The name has the kinds of the matrices that tokens go through, that of most numbers first.
    Beside them, what of the file is not kept.
    """
    numbers: Counter[Kind] = Counter()
    own: dict[str, Kind] = {}
    changed = Changed()
    ordered = frozenset(_ordered(parameters, spec))
    for section in matrices(spec):
        name, kind = section.name, parameters.kind(section.name)
        apart = parameters.order(name) is not None and name not in ordered
        if kind is None or apart:
            form = parameters.form(name) if kind is None else "inputs in an order of their own"
            kind = parameters.dequantised(name)
            changed = Changed(
                changed.matrices + 1,
                changed.stored + parameters.stored_bytes(name),
                # bfloat16 and float16 both have two bytes a number.
                changed.packed + 2 * section.rows * section.columns,
                tuple(dict.fromkeys((*changed.forms, form))),
                tuple(dict.fromkeys((*changed.kinds, kind.name.lower()))),
            )
        own[name] = kind
        if name != EMBEDDING or spec.tied:
            numbers[own[name]] += section.rows * section.columns
    head = own[EMBEDDING if spec.tied else UNEMBEDDING]
    told = [kind for kind, _ in numbers.most_common()]
    name = "+".join(kind.name.lower() for kind in told)
    return Kept(name, Kinds(told[0], head, own[EMBEDDING], own, ordered), changed)


#: What reads the stream before tokens are mixed.
_FIRST = ("query", "key", "value", "gate", "step", "strength", "before", "after")


def _ordered(parameters: Parameters, spec: ModelSpec) -> Iterator[str]:
    """Matrices whose columns may stand in an order of their own: all that read the same have it."""
    for index, this in enumerate(spec.each_layer):
        at = f"layers.{index}"
        mixer = f"{at}.attention" if this.attends else f"{at}.mixer"
        qkv = [f"{mixer}.{name}.weight" for name in _FIRST]
        into = [f"{at}.mlp.{name}.weight" for name in ("gate", "up")]
        groups = [qkv, into, [f"{mixer}.out.weight"], [f"{at}.mlp.down.weight"]]
        if this.mixture:
            # Experts read what the router reads, and each would have an order.
            groups = [qkv, groups[2]]
        if spec.blocks == "parallel_one_norm":
            groups = [[*qkv, *into], *groups[2:]] if not this.mixture else [groups[1]]
        for every in groups:
            group = [name for name in every if name in parameters]
            if not group:
                continue
            orders = [parameters.order(name) for name in group]
            kept = all(parameters.kind(name) is not None for name in group)
            first = orders[0]
            alike = all(
                first is not None and order is not None and np.array_equal(order, first)
                for order in orders
            )
            if kept and alike:
                yield from group
