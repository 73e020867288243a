"""What a torch pass changes on its way. Shapes: b batch, t time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy

import torch
from torch import Tensor

from gptcli.engine.edits import Edit
from gptcli.engine.points import Point
from gptcli.engine.state.forward_state import ForwardState

#: Where something is changed, (row, its tokens), and which rows of what is added belong there.
_Place = tuple[int | slice, slice, slice]


class Changes:
    """Edits of a model's passes."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._rows: Sequence[int] | None = None
        # What is added, where the model computes: it is not carried there again for each token.
        self._added: dict[Edit, Tensor] = {}
        self._by_place: dict[tuple[Point, int], list[Edit]] = {}
        for edit in edits:
            self._by_place.setdefault((edit.point, edit.layer), []).append(edit)

    def of_rows(self, rows: Sequence[int]) -> Changes:
        """The same, where only these rows of the batch run."""
        other = copy(self)
        other._rows = rows
        return other

    def changed(self, point: Point, layer: int, numbers: Tensor, state: ForwardState) -> Tensor:
        """Numbers (b, t, features) of new tokens, as the edits want them."""
        edits = self._by_place.get((point, layer))
        if edits is None:
            return numbers
        found = numbers.clone()
        for edit in edits:
            part = slice(None) if edit.part is None else slice(edit.part.start, edit.part.stop)
            for row, times, positions in self._places(edit, numbers, state):
                kept = found[row, times, part]
                made = torch.zeros_like(kept) if edit.factor == 0 else kept * edit.factor
                if edit.add is not None:
                    add = self._add(edit, made)
                    made = made + (add if add.ndim == 1 else add[positions])
                found[row, times, part] = made
        return found

    def factors(self, layer: int, like: Tensor, experts: int, state: ForwardState) -> Tensor | None:
        """What shares of experts are multiplied by, (b, t, experts), for `like` (b, t, …)."""
        if ("shares", layer) not in self._by_place:
            return None
        ones = torch.ones((*like.shape[:2], experts), device=like.device)
        return self.changed("shares", layer, ones, state)

    def _add(self, edit: Edit, like: Tensor) -> Tensor:
        if edit not in self._added:
            self._added[edit] = torch.tensor(edit.add).to(like)
        return self._added[edit]

    def _places(self, edit: Edit, numbers: Tensor, state: ForwardState) -> Iterator[_Place]:
        """Of new tokens."""
        if edit.everywhere:
            yield slice(None), slice(None), slice(None)
            return
        rows = range(numbers.size(0)) if self._rows is None else self._rows
        for at, row in enumerate(rows):
            if edit.row not in (None, row):
                continue
            start, time = state.lengths[at], numbers.size(1)
            wanted = range(start, start + time) if edit.positions is None else edit.positions
            first, end = max(wanted.start, start), min(wanted.stop, start + time)
            if first < end:
                of = slice(first - wanted.start, end - wanted.start)
                yield at, slice(first - start, end - start), of
