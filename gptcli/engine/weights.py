"""Stored tensors → the decoder's parameters, strict both ways."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch

from gptcli.engine.checkpoint import FLOATS, Source, Stored
from gptcli.engine.families.rules import Rule, Rules
from gptcli.engine.layout import Layout, layouts
from gptcli.errors import ModelError

#: What packed numbers are stored as.
_PACKED = {"U8": torch.uint8}


@dataclass(frozen=True)
class Placement:
    """A layout, met with the stored tensors that it applies to."""

    layout: Layout
    stored: tuple[Stored, ...]


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
    source: Source, rules: Rules, shapes: dict[str, torch.Size], layers: int
) -> list[Placement]:
    """Match every parameter with a stored tensor, before any weights are read.

    `shapes` are our parameters. Raises ModelError naming the first tensor that is missing,
    unknown, or of another shape than config.json says.
    """
    subject = str(source.directory)
    by_name: dict[str, Stored] = {}
    for stored in source.tensors.values():
        name = rules.bare(stored.name)
        if name in by_name:
            raise ModelError(subject, f"{name} is stored with and without {rules.prefix!r}")
        by_name[name] = stored
    placed = []
    for rule in rules.rules:
        for layout in layouts(rule, layers, by_name):
            for name in layout.stored:
                if name not in by_name:
                    raise ModelError(subject, f"tensor {rules.prefix}{name} is missing")
            placement = Placement(layout, tuple(by_name.pop(name) for name in layout.stored))
            _check(placement, shapes)
            placed.append(placement)
    ignored = re.compile("|".join(rules.ignored) or r"(?!)")
    for name, stored in by_name.items():
        if not ignored.fullmatch(name):
            reason = f"tensor {stored.name} is not part of a model as config.json describes it"
            raise ModelError(subject, reason)
    return placed


def _check(placement: Placement, shapes: dict[str, torch.Size]) -> None:
    known = _PACKED if placement.layout.packed else FLOATS
    wanted = placement.layout.shapes(shapes)
    for stored, shape in zip(placement.stored, wanted, strict=True):
        if stored.shape != shape:
            reason = f"tensor {stored.name} has shape {list(stored.shape)}, not {list(shape)}"
            raise ModelError(str(stored.file), f"{reason} as config.json says")
        if stored.dtype not in known.values():
            reason = f"tensor {stored.name} is not one of {', '.join(known)}"
            raise ModelError(str(stored.file), reason)
