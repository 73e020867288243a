"""What a forward of the kernels changes on the way: the structs that tell it, token by token."""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding import calls
from gptcli.engine.edits import Edit
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.points import Point, features

_EDIT = np.dtype(
    [("add", "u8"), ("token", "i4"), ("first", "i4"), ("count", "i4"), ("factor", "f4")]
)
assert _EDIT.itemsize == c.sizeof(calls.Edit)


class Changes:
    """Edits of a model's passes. What it hands out points into it, and is its until the next."""

    def __init__(self, spec: ModelSpec, edits: Sequence[Edit]) -> None:
        self._spec = spec
        self._edits = [_own(each) for each in edits]
        self._everywhere = all(each.everywhere for each in edits)
        self._struct: calls.CallEdits | None = None
        self._kept: list[Any] = []

    def of(self, rows: NDArray[np.int32], positions: NDArray[np.int32]) -> calls.CallEdits | None:
        """For tokens (n,), which stand in these rows of the batch and there; None for no change."""
        if self._everywhere and self._struct is not None:
            return self._struct
        places = dict[tuple[Point, int], list[NDArray[Any]]]()
        for each in self._edits:
            found = _tokens(self._spec, each, rows, positions)
            if len(found):
                places.setdefault((each.point, each.layer), []).append(found)
        self._struct, self._kept = self._made(places) if places else (None, [])
        return self._struct

    def _made(
        self, places: dict[tuple[Point, int], list[NDArray[Any]]]
    ) -> tuple[calls.CallEdits, list[Any]]:
        layers = (calls.LayerEdits * self._spec.layers)()
        struct = calls.CallEdits(layer=c.addressof(layers))
        kept: list[Any] = [layers]
        for (point, layer), found in places.items():
            own = np.concatenate(found)
            kept.append(own)
            edits = calls.Edits(own.ctypes.data, len(own))
            if point == "embedding":
                struct.embedding = edits
            else:
                setattr(layers[layer], point, edits)
        return struct, kept


def _own(edit: Edit) -> Edit:
    """One whose numbers stand one after another in memory."""
    if edit.add is None or edit.add.flags.c_contiguous:
        return edit
    places = (edit.point, edit.layer, edit.row, edit.positions, edit.part)
    return Edit(*places, edit.factor, np.ascontiguousarray(edit.add))


def _tokens(
    spec: ModelSpec, edit: Edit, rows: NDArray[np.int32], positions: NDArray[np.int32]
) -> NDArray[Any]:
    """What it changes of these tokens, a struct for each; of all, one for all together."""
    tokens = np.array([-1])
    if not edit.everywhere:
        here = np.ones(len(rows), bool) if edit.row is None else rows == edit.row
        if edit.positions is not None:
            here &= (positions >= edit.positions.start) & (positions < edit.positions.stop)
        tokens = np.flatnonzero(here)
    part = edit.part if edit.part is not None else range(features(edit.point, spec, edit.layer))
    found = np.zeros(len(tokens), _EDIT)
    found["token"], found["first"], found["count"] = tokens, part.start, len(part)
    found["factor"] = edit.factor
    if edit.add is not None:
        found["add"] = edit.add.ctypes.data
        if edit.add.ndim == 2 and edit.positions is not None:
            at = positions[tokens] - edit.positions.start
            found["add"] += (at * edit.add.strides[0]).astype(np.uint64)
    return found
