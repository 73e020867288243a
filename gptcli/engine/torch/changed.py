"""What a torch pass changes on its way. Shapes: b batch, t time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gptcli.engine.edits import Edit
from gptcli.engine.points import Point
from gptcli.engine.state.forward_state import ForwardState


class Changes:
    """Edits of a model's passes. rows: which of the batch run, None for all."""

    def __init__(self, edits: Sequence[Edit], rows: Sequence[int] | None = None) -> None:
        self._edits, self._rows = edits, rows

    def of_rows(self, rows: Sequence[int]) -> Changes:
        """The same, where some rows of the batch run."""
        return Changes(self._edits, rows)

    def changed(self, point: Point, layer: int, numbers: Tensor, state: ForwardState) -> Tensor:
        """Numbers (b, t, features) of new tokens, as the edits want them."""
        found = numbers
        for edit in self._edits:
            if edit.point != point or edit.layer != layer:
                continue
            if found is numbers:
                found = numbers.clone()
            part = slice(None) if edit.part is None else slice(edit.part.start, edit.part.stop)
            for row, times, positions in self._places(edit, numbers, state):
                kept = found[row, times, part]
                made = torch.zeros_like(kept) if edit.factor == 0 else kept * edit.factor
                if edit.add is not None:
                    add = edit.add if edit.add.ndim == 1 else edit.add[positions]
                    made = made + torch.tensor(add).to(made)
                found[row, times, part] = made
        return found

    def factors(self, layer: int, like: Tensor, experts: int, state: ForwardState) -> Tensor | None:
        """What shares of experts are multiplied by, (b, t, experts), for `like` (b, t, …)."""
        if not any(edit.point == "shares" and edit.layer == layer for edit in self._edits):
            return None
        ones = torch.ones((*like.shape[:2], experts), device=like.device)
        return self.changed("shares", layer, ones, state)

    def _places(
        self, edit: Edit, numbers: Tensor, state: ForwardState
    ) -> list[tuple[int, slice, slice]]:
        """(row, its new tokens, which of the edit's positions these are) of what it changes."""
        rows = range(numbers.size(0)) if self._rows is None else self._rows
        places = list[tuple[int, slice, slice]]()
        for at, row in enumerate(rows):
            if edit.row not in (None, row):
                continue
            start, time = state.lengths[at], numbers.size(1)
            wanted = edit.positions or range(start, start + time)
            first, end = max(wanted.start, start), min(wanted.stop, start + time)
            if first < end:
                of = slice(first - wanted.start, end - wanted.start)
                places.append((at, slice(first - start, end - start), of))
        return places
