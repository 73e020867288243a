"""Stored tensors → the decoder's parameters, strict both ways. Nothing here imports torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from gptcli.engine.model.rules import Rule, Rules
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.weights.placement import Layout, layouts
from gptcli.errors import ModelError
from gptcli.formats import ggml_blocks
from gptcli.formats.stored import StoredFiles
from gptcli.plain import dataclass

#: The dtypes that weights are computed in, by the names that the format has for them.
FLOATS = ("F32", "F16", "BF16")
#: What packed numbers are stored as.
_PACKED = ("U8",)


class UnreadTensor(Protocol):
    """A tensor before it is read.

    kind: the format's word for its dtype, or for what it is once it is dequantised; ggml's word
    for blocks that stay such; None where it is of no use here.
    """

    @property
    def name(self) -> str:
        """Its stored name."""
        ...

    @property
    def file(self) -> Path:
        """Where it is, for errors."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, in numbers."""
        ...

    @property
    def kind(self) -> str | None:
        """See above."""
        ...


class UnreadTensors(Protocol):
    """The tensors of a model, whichever library will read them."""

    @property
    def place(self) -> Path:
        """The model's directory or GGUF file, for errors."""
        ...

    @property
    def tensors(self) -> Mapping[str, UnreadTensor]:
        """All there are, by name."""
        ...


@dataclass(frozen=True)
class Placement:
    """A layout, met with the stored tensors that it applies to."""

    layout: Layout
    stored: tuple[UnreadTensor, ...]


def check_counts(subject: str, spec: ModelSpec, stored: StoredFiles) -> None:
    """Raise ModelError for more layers or experts than so many stored tensors could hold.

    Every layer has tensors of its own, and every expert many times `width` numbers, of which no
    form holds more than eight in an element: millions are refused before they are built.
    """
    tensors, elements = len(stored.tensors), stored.elements
    if spec.layers > tensors:
        reason = f"says {spec.layers} layers, but only {tensors} tensors are stored"
        raise ModelError(subject, reason)
    experts = spec.mixtures * spec.experts.count if spec.experts else 0
    if experts * spec.width > 2 * elements:
        reason = f"says {experts} experts in all layers, but only {elements} numbers are stored"
        raise ModelError(subject, reason)


def rule_of(rules: Rules) -> Callable[[str], Rule | None]:
    """From a stored name, of any layer and with or without the prefix, to the rule for it."""
    # Whatever stands in braces is a number: of the layer, or of a member of it.
    patterns = [
        (re.compile(re.sub(r"\\{\w+\\}", r"\\d+", re.escape(rule.stored))), rule)
        for rule in rules.rules
    ]

    def find(name: str) -> Rule | None:
        bare = rules.bare(name)
        return next((rule for pattern, rule in patterns if pattern.fullmatch(bare)), None)

    return find


def place(
    source: UnreadTensors, rules: Rules, shapes: Mapping[str, Sequence[int]], layers: int
) -> list[Placement]:
    """Match every parameter with a stored tensor, before any weights are read.

    `shapes` are our parameters. Raises ModelError naming the first tensor that is missing,
    unknown, or of another shape than config.json says.
    """
    subject = str(source.place)
    by_name: dict[str, UnreadTensor] = {}
    for stored in source.tensors.values():
        name = rules.bare(stored.name)
        if name in by_name:
            raise ModelError(subject, f"{name} is stored with and without {rules.prefix!r}")
        by_name[name] = stored
    placed, names = [], frozenset(by_name)
    for rule in rules.rules:
        for layout in layouts(rule, layers, names):
            for name in layout.stored:
                if name not in by_name:
                    raise ModelError(subject, f"tensor {rules.prefix}{name} is missing")
            found = tuple(by_name.pop(name) for name in layout.stored)
            placement = Placement(_fitting(layout, found, shapes), found)
            _check(placement, shapes)
            placed.append(placement)
    ignored = rules.left_out
    for name, stored in by_name.items():
        if not ignored.fullmatch(name):
            reason = f"tensor {stored.name} is not part of a model as config.json describes it"
            raise ModelError(subject, reason)
    return placed


def _fitting(
    layout: Layout, stored: tuple[UnreadTensor, ...], shapes: Mapping[str, Sequence[int]]
) -> Layout:
    """The layout, the other way round where that is allowed and only so it fits."""
    rule = layout.rule
    if not rule.either or layout.shapes(shapes) == tuple(each.shape for each in stored):
        return layout
    return replace(layout, rule=replace(rule, transpose=not rule.transpose))


def _check(placement: Placement, shapes: Mapping[str, Sequence[int]]) -> None:
    packed = placement.layout.packed
    known = _PACKED if packed else FLOATS
    wanted = placement.layout.shapes(shapes)
    for stored, shape in zip(placement.stored, wanted, strict=True):
        if stored.shape != shape:
            reason = f"tensor {stored.name} has shape {list(stored.shape)}, not {list(shape)}"
            raise ModelError(str(stored.file), f"{reason} as config.json says")
        blocks = stored.kind is not None and ggml_blocks.are_blocks(stored.kind)
        if stored.kind not in known and (packed or not blocks):
            reason = f"tensor {stored.name} is not one of {', '.join(known)}"
            raise ModelError(str(stored.file), reason)
