"""How stored tensors are laid out: the shapes they must have, and how they are cut into ours.

Tensors are numpy's or torch's: nothing here imports torch. Rows are cut as wholes, so that rows of
a quantised matrix may be bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import Array, namespace
from gptcli.engine.model.rules import Rule
from gptcli.formats.quantization import MXFP4
from gptcli.plain import dataclass

Shape = tuple[int, ...]
#: Numbers that share a scale in MXFP4.
MXFP4_BLOCK = 32


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

    def turned(self, target: str) -> bool:
        """Whether its rows are no rows of what is stored, but columns, group by group."""
        return self.rule.first_turned and any(target == names[0] for names in self.targets)

    def part(self, target: str, ours: Mapping[str, Sequence[int]]) -> Shape:
        """The shape of that part of a stored tensor that becomes this one of ours."""
        shape, groups = tuple(ours[target]), self.rule.groups
        return (groups * shape[1], shape[0] // groups) if self.turned(target) else shape

    def shapes(self, ours: Mapping[str, Sequence[int]]) -> tuple[Shape, ...]:
        """The shape of each stored tensor."""
        rule = self.rule
        parts = [self.part(target, ours) for target in self.targets[0]]
        wanted: Shape = (sum(part[0] for part in parts) + rule.skip, *parts[0][1:])
        if rule.between:
            wanted = (wanted[0], 1, *wanted[1:])
        if self.gathered:
            return (wanted[1:],) * len(self.stored)
        if rule.transpose and len(wanted) == 2 and not self.packed:
            wanted = (wanted[1], wanted[0])
        if rule.one_row:
            wanted = (1, *wanted)
        if self.stacked:
            wanted = (len(self.targets), *wanted)
        if not self.packed:
            return (wanted,)
        scales = (*wanted[:-1], -(-wanted[-1] // MXFP4_BLOCK))
        return (*scales, MXFP4_BLOCK // 2), scales

    def cut(
        self,
        tensors: Sequence[Array],
        ours: Mapping[str, Sequence[int]],
        unpacked: Callable[[Array, Array], Array] | None = None,
    ) -> Iterator[tuple[str, Array]]:
        """What was stored as our parameters, views where that is possible.

        unpacked: what becomes of one member's blocks and scales, rows of which are outputs.
        """
        for member, targets in zip(self._members(tensors, unpacked), self.targets, strict=True):
            yield from self._cut_one(member, targets, ours)

    def rows(self, ours: Mapping[str, Sequence[int]], member: int) -> dict[str, NDArray[np.intp]]:
        """Which rows of a member, outputs, become which of ours.

        Not for members that are stored one by one and are a part of ours; of what is turned, those
        that become its columns.
        """
        targets = self.targets[member]
        rule = replace(self.rule, transpose=False, between=False, first_turned=False)
        parts = {name: (self.part(name, ours)[0], 1) for name in targets}
        count = sum(rows for rows, _ in parts.values()) + rule.skip
        column = np.arange(count).reshape(count, 1)
        found = replace(self, rule=rule)._cut_one(column, targets, parts)
        return {name: rows[:, 0] for name, rows in found}

    def _members(
        self, tensors: Sequence[Array], unpacked: Callable[[Array, Array], Array] | None
    ) -> Iterator[Array]:
        if self.packed:
            if unpacked is None:
                raise ValueError(f"{self.stored[0]} is packed")
            # One after the other: a whole stack of numbers takes many times its file.
            for blocks, scales in zip(*(self._unstacked(each) for each in tensors), strict=True):
                yield unpacked(blocks, scales)
        elif self.gathered:
            yield namespace(tensors[0]).stack(list(tensors))
        else:
            yield from self._unstacked(tensors[0])

    def _unstacked(self, tensor: Array) -> Iterator[Array]:
        return iter(tensor) if self.stacked else iter((tensor,))

    def _cut_one(
        self, tensor: Array, targets: tuple[str, ...], ours: Mapping[str, Sequence[int]]
    ) -> Iterator[tuple[str, Array]]:
        rule = self.rule
        if rule.transpose and tensor.ndim == 2 and not self.packed:
            tensor = tensor.T
        if rule.between:
            tensor = tensor[:, 0]
        if rule.one_row:
            tensor = tensor[0]
        tensor = tensor[rule.skip :]
        inner, end = tuple(tensor.shape[1:]), 0
        grouped = tensor.reshape((rule.groups, tensor.shape[0] // rule.groups, *inner))
        for target in targets:
            rows = self.part(target, ours)[0]
            start, end = end, end + rows // rule.groups
            part = grouped[:, start:end]
            if self.turned(target):
                part = part.swapaxes(1, 2)
            yield target, _gapless(part.reshape((-1, *part.shape[2:])))


def _gapless(part: Array) -> Array:
    """A tensor of torch's with one axis without gaps, else matrix products copy it at every call.

    What is no view of the file may as well have no gaps at all.
    """
    if isinstance(part, np.ndarray) or 1 in part.stride():
        return part
    return part.contiguous()


def layouts(rule: Rule, layers: int, names: Collection[str]) -> Iterator[Layout]:
    """The rule at every layer that it is for; `names` are the stored names, prefixes left out."""
    everywhere = range(layers) if rule.layers is None else rule.layers
    for layer in everywhere if "{i}" in rule.stored else (0,):
        if rule.unless is not None and rule.unless.replace("{i}", str(layer)) in names:
            continue
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
        elif at not in names and any(n.replace("{i}", str(layer)) in names for n in rule.apart):
            for name, target in zip(rule.apart, rule.targets, strict=True):
                yield from layouts(Rule(name, target, layers=(layer,)), layers, names)
        elif rule.packed is not None and at not in names:
            stored_names = tuple(at + suffix for suffix in MXFP4)
            yield Layout(rule, stored_names, tuple(mine for _, mine in each), packed=True)
        else:
            yield Layout(rule, (at,), tuple(mine for _, mine in each))


def _by_member(*names: str) -> bool:
    return all("{n}" in name for name in names)
