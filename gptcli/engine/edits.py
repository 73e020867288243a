"""What is changed inside while a model runs: interventions, as data that every runner reads.

x becomes factor · x + add: switched off (factor 0), replaced (factor 0 and what stands there
instead), moved along a direction (factor 1), weakened or strengthened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.points import EDITED, Point, features, is_there
from gptcli.plain import dataclass


@dataclass(frozen=True, eq=False)
class Edit:
    """A change at one point of a layer, -1 being before the first.

    row: of the batch, None for all. positions: of the row, None for all. part: which features, None
    for all; of "heads" those of a head stand together, of "shares" each is an expert. add: float32,
    (part,) or (positions, part); None for nothing. Of "shares" only the factor counts: an expert
    that was not chosen has none.
    """

    point: Point
    layer: int
    row: int | None = None
    positions: range | None = None
    part: range | None = None
    factor: float = 1.0
    add: NDArray[np.float32] | None = None

    @property
    def everywhere(self) -> bool:
        """Whether it changes all tokens alike."""
        return self.row is None and self.positions is None


def check(edits: Iterable[Edit], spec: ModelSpec) -> None:
    """Raise ValueError for what a model does not have."""
    for each in edits:
        where = f"{each.point!r} of layer {each.layer}"
        there = each.point in EDITED and -1 <= each.layer < spec.layers
        if not there or not is_there(each.point, spec, each.layer):
            raise ValueError(f"there is no {where} to change")
        count = features(each.point, spec, each.layer)
        part = range(count) if each.part is None else each.part
        if not (part.step == 1 and 0 <= part.start <= part.stop <= count):
            raise ValueError(f"{where} has {count} features, not {part}")
        if each.add is None:
            continue
        if each.point == "shares":
            raise ValueError("nothing is added to shares of experts")
        shapes: list[tuple[int, ...]] = [(len(part),)]
        if each.positions is not None:
            shapes.append((len(each.positions), len(part)))
        if each.add.shape not in shapes or each.add.dtype != np.float32:
            raise ValueError(f"{where}: {each.add.dtype} of shape {each.add.shape} is added")


def that_change(edits: Iterable[Edit], spec: ModelSpec) -> tuple[Edit, ...]:
    """Those that change anything. Raises as `check`."""
    found = tuple(edits)
    check(found, spec)
    return tuple(each for each in found if each.factor != 1 or each.add is not None)


def in_rows(variants: Iterable[Sequence[Edit]]) -> list[Edit]:
    """The edits of each variant in a row of its own, the first in row 0."""
    return [replace(edit, row=row) for row, edits in enumerate(variants) for edit in edits]


def digest(edits: Iterable[Edit], of: str = "") -> str:
    """What they are, and what they change, in 64 hex digits."""
    found = hashlib.sha256(of.encode())
    for each in edits:
        found.update(repr((*_place(each), each.factor)).encode())
        found.update(b"" if each.add is None else np.ascontiguousarray(each.add).tobytes())
    return found.hexdigest()


def _place(edit: Edit) -> tuple[object, ...]:
    return edit.point, edit.layer, edit.row, edit.positions, edit.part
