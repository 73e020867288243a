"""How stored tensors are laid out: the shapes they must have, and how they are cut into ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gptcli.engine import mxfp4
from gptcli.engine.families.rules import Rule

Shape = tuple[int, ...]
#: Suffixes of the tensors that hold numbers in MXFP4.
MXFP4 = ("_blocks", "_scales")


@dataclass(frozen=True)
class Layout:
    """A rule at one layer (and of one member, where each is stored by itself).

    stored: the names of what is read, prefix left out; targets: what each member becomes.
    """

    rule: Rule
    stored: tuple[str, ...]
    targets: tuple[tuple[str, ...], ...]
    packed: bool = False

    @property
    def stacked(self) -> bool:
        """Whether one stored tensor holds all members."""
        return not _by_member(self.rule.stored) and _by_member(*self.rule.targets)

    @property
    def gathered(self) -> bool:
        """Whether each member is stored by itself, but is a part of ours."""
        return _by_member(self.rule.stored) and not _by_member(*self.rule.targets)

    def shapes(self, ours: Mapping[str, Sequence[int]]) -> tuple[Shape, ...]:
        """The shape of each stored tensor."""
        rule = self.rule
        parts = [tuple(ours[target]) for target in self.targets[0]]
        wanted: Shape = (sum(part[0] for part in parts) + rule.skip, *parts[0][1:])
        if self.gathered:
            return (wanted[1:],) * len(self.stored)
        if rule.transpose and len(wanted) == 2 and not self.packed:
            wanted = (wanted[1], wanted[0])
        if self.stacked:
            wanted = (len(self.targets), *wanted)
        if not self.packed:
            return (wanted,)
        scales = (*wanted[:-1], -(-wanted[-1] // mxfp4.BLOCK))
        return (*scales, mxfp4.BLOCK // 2), scales

    def cut(
        self, tensors: Sequence[Tensor], ours: Mapping[str, Sequence[int]], dtype: torch.dtype
    ) -> Iterator[tuple[str, Tensor]]:
        """What was stored as our parameters, views where that is possible.

        dtype is what packed numbers become; others keep theirs.
        """
        for member, targets in zip(self._members(tensors, dtype), self.targets, strict=True):
            yield from self._cut_one(member, targets, ours)

    def _members(self, tensors: Sequence[Tensor], dtype: torch.dtype) -> Iterator[Tensor]:
        if self.packed:
            # One after the other: a whole stack of numbers takes many times its file.
            for blocks, scales in zip(*(self._unstacked(each) for each in tensors), strict=True):
                yield mxfp4.dequantise(blocks, scales, dtype)
        elif self.gathered:
            yield torch.stack(list(tensors))
        else:
            yield from self._unstacked(tensors[0])

    def _unstacked(self, tensor: Tensor) -> tuple[Tensor, ...]:
        return tensor.unbind() if self.stacked else (tensor,)

    def _cut_one(
        self, tensor: Tensor, targets: tuple[str, ...], ours: Mapping[str, Sequence[int]]
    ) -> Iterator[tuple[str, Tensor]]:
        rule = self.rule
        if rule.transpose and tensor.dim() == 2 and not self.packed:
            tensor = tensor.t()
        tensor = tensor[rule.skip :]
        sizes = [ours[target][0] for target in targets]
        if rule.groups == 1:
            parts: Sequence[Tensor] = tensor.split(sizes)
        else:
            grouped = tensor.unflatten(0, (rule.groups, -1))
            pieces = grouped.split([size // rule.groups for size in sizes], dim=1)
            parts = [piece.flatten(0, 1) for piece in pieces]
        for target, part in zip(targets, parts, strict=True):
            # Matrix kernels want one axis without gaps, else they copy at every call; what is no
            # view of the file may as well have none at all.
            apart = self.packed or 1 not in part.stride()
            yield target, part.contiguous() if apart else part


def layouts(rule: Rule, layers: int, names: Mapping[str, object]) -> Iterator[Layout]:
    """The rule at every layer that it is for; `names` are the stored names, prefixes left out."""
    everywhere = range(layers) if rule.layers is None else rule.layers
    for layer in everywhere if "{i}" in rule.stored else (0,):
        at = rule.stored.replace("{i}", str(layer))
        targets = tuple(target.replace("{i}", str(layer)) for target in rule.targets)
        each = [
            (
                at.replace("{n}", str(member)),
                tuple(target.replace("{n}", str(member)) for target in targets),
            )
            for member in range(rule.members)
        ]
        if _by_member(rule.stored) and _by_member(*rule.targets):
            for stored, mine in each:
                yield Layout(rule, (stored,), (mine,))
        elif _by_member(rule.stored):
            yield Layout(rule, tuple(stored for stored, _ in each), (targets,))
        elif rule.packed is not None and at not in names:
            stored_names = tuple(at + suffix for suffix in MXFP4)
            yield Layout(rule, stored_names, tuple(mine for _, mine in each), packed=True)
        else:
            yield Layout(rule, (at,), tuple(mine for _, mine in each))


def _by_member(*names: str) -> bool:
    return all("{n}" in name for name in names)
