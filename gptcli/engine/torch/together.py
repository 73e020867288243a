"""Rows in pages that run together: those of one id in one forward, the others one by one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from gptcli.engine.state.paged_state import PagedState
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.step import Steps

Rows = Sequence[Sequence[int]]


class Together:
    """One pass over rows. forward: of some rows of a state, see TorchRunner; steps: where there
    are some, of the rows of one id.
    """

    def __init__(
        self, decoder: Decoder, steps: Steps | None, forward: Callable[..., Tensor]
    ) -> None:
        self._decoder, self._steps, self._forward = decoder, steps, forward

    def run(self, rows: Rows, state: PagedState, wanted: Sequence[int]) -> Tensor:
        """See Runner.run."""
        held, ends = state.rows, list(accumulate(map(len, rows)))
        single = [at for at, row in enumerate(rows) if len(row) == 1]
        groups = [single, *([at] for at, row in enumerate(rows) if len(row) > 1)]
        streams: dict[int, Tensor] = {}
        stepped: dict[int, Tensor] = {}
        try:
            for group in filter(None, groups):
                state.rows = [held[at] for at in group]
                pieces = [rows[at] for at in group]
                logits = self._step(pieces, state) if group is single else None
                if logits is not None:
                    stepped = dict(zip(group, logits, strict=False))
                    continue
                found = self._forward(pieces, list(map(len, pieces)), state, rows=group)
                streams |= zip(group, found, strict=True)
        finally:
            state.rows = held
        places = [(bisect_right(ends, place), place) for place in wanted]
        # From the row's end.
        picked = [streams[at][place - ends[at]] for at, place in places if at not in stepped]
        read = iter(self._decoder.logits(torch.stack(picked)) if picked else ())
        every = [stepped[at] if at in stepped else next(read) for at, _ in places]
        if every:
            return torch.stack(every)
        weight = self._decoder.embedding.weight
        return torch.empty((0, len(weight)), dtype=torch.float32, device=weight.device)

    def _step(self, pieces: Rows, state: PagedState) -> Tensor | None:
        """Logits after each row's one id, and perhaps those of others."""
        if self._steps is None:
            return None
        counts = [1] * len(pieces)
        state.reserve(counts)
        step = self._steps.of_pages(state)
        if step is None:
            return None
        more = step.state.batch - len(pieces)
        ids, lengths = [piece[0] for piece in pieces], list(state.lengths)
        logits = step.run(ids + ids[-1:] * more, lengths + lengths[-1:] * more)
        state.advance(counts)
        return logits
