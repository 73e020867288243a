"""A state whose shapes stay as they are for long: room in a few sizes, all of which is looked over.

What a GPU is told to do for a token is then the same for the next one, and can be recorded.
"""

from __future__ import annotations

from gptcli.engine.arrays import rounded_up
from gptcli.engine.state.model_state import GROWTH, ModelState

#: Tokens by which room grows at most: what is not used is looked over as well.
_MOST = 32 * GROWTH


class StaticState(ModelState):
    """See ModelState. Where no token stands are zeros whenever a forward begins."""

    _stale = False

    def room(self, needed: int) -> int:
        """See ModelState: twice as much each time, at most _MOST more, so that sizes are few."""
        if needed > _MOST:
            return rounded_up(needed, _MOST)
        return GROWTH << max(0, (needed - 1) // GROWTH).bit_length()

    def reserve(self, counts: list[int], ahead: list[int] | None = None) -> None:
        """See ModelState."""
        super().reserve(counts, ahead)
        if not self._stale:
            return
        # Not what an earlier text left: a masked NaN would still poison the sums of this one.
        for layer in self.layers:
            for array in layer.by_position:
                for row, length in enumerate(self.lengths):
                    array[row, :, length:] = 0
        self._stale = False

    def _go_back(self, lengths: list[int]) -> None:
        super()._go_back(lengths)
        self._stale = True
