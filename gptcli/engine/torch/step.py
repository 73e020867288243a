"""One token more of each row, as a function of tensors that stay where they are.

A GPU is told of it once, and then does it again and again by itself: to tell it each time takes
longer than the sums of a small model.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gptcli.engine.state.model_state import ModelState
from gptcli.engine.state.paged_state import PagedState
from gptcli.engine.state.paged_step import PagedStepState, room_of
from gptcli.engine.state.static_state import StaticState
from gptcli.engine.state.step_state import StepState, arrays_of
from gptcli.engine.torch.decoder import Decoder

#: What makes of a function one that does the same again; it need not do it itself.
Capture = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]


def as_it_is(function: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A Capture that records nothing."""
    return function


class Step:
    """The step of one state. ids: (batch, 1), at: (batch,), int64, which it reads.

    The first time it runs as it is, which makes ready what a capture must not begin.
    """

    def __init__(
        self, decoder: Decoder, state: StepState | PagedStepState, ids: Tensor, capture: Capture
    ) -> None:
        self.state, self.ids = state, ids
        self._decoder, self._capture = decoder, capture
        self._again: Callable[[], Tensor] | None = None
        self._ends: list[int] | None = None
        self._warm = self._tried = False

    def run(self, ids: Sequence[int] | Tensor, ends: Sequence[int]) -> Tensor:
        """Logits after ids (batch,) that stand at `ends`, (batch, vocab), until it runs again."""
        known, self._ends = self._ends, None
        self.ids[:, 0] = ids if isinstance(ids, Tensor) else torch.tensor(ids)
        if known != list(ends):
            self.state.at[:] = torch.tensor(ends)
        logits = self._ready()()
        self._ends = [end + 1 for end in ends]
        return logits

    def _ready(self) -> Callable[[], Tensor]:
        if self._warm and not self._tried:
            self._tried = True
            try:
                made = self._capture(self.forward)
            except RuntimeError:
                # What cannot be recorded, or finds no memory for that, is done as it is.
                made = self.forward
            self._again = None if made == self.forward else made
        self._warm = True
        return self._again or self.forward

    @property
    def captured(self) -> bool:
        """Whether it is done as it was recorded."""
        return self._again is not None

    def forward(self) -> Tensor:
        """What is recorded: a function of `ids`, `state.at` and what the state's layers keep."""
        stream = self._decoder(self.ids, self.state)
        return self._decoder.logits(stream[:, -1])


#: Steps by how many rows they have, and pages of each.
_Sizes = dict[tuple[int, int], tuple[PagedStepState, Step]]


class Steps:
    """The steps of the states of one decoder."""

    def __init__(self, decoder: Decoder, capture: Capture) -> None:
        self._decoder, self._capture = decoder, capture
        self._of_state: weakref.WeakKeyDictionary[ModelState, Step] = weakref.WeakKeyDictionary()
        self._of_pages: weakref.WeakKeyDictionary[PagedState, _Sizes] = weakref.WeakKeyDictionary()

    def next(self, ids: Sequence[int] | Tensor, state: ModelState) -> Tensor | None:
        """Append ids (batch,) to a state; logits of what follows, None where it has no step."""
        counts = [1] * state.batch
        state.reserve(counts)
        step = self.of(state)
        if step is None:
            return None
        logits = step.run(ids, state.lengths).clone()
        state.advance(counts)
        return logits

    def of(self, state: ModelState) -> Step | None:
        """That of a state which has room for a token more in each row; None where it has none."""
        if not isinstance(state, StaticState):
            return None
        found = self._of_state.get(state)
        if found is None or not _same(found.state.arrays, arrays_of(state)):
            found = self._made(StepState(state, self._zeros(state.batch)))
            self._of_state[state] = found
        return found

    def of_pages(self, state: PagedState) -> Step | None:
        """That of `state.rows`, which have their pages, and perhaps of the last of them again."""
        if state.pool.slots is not None or state.pool.near is not None:
            return None
        sizes = self._of_pages.setdefault(state, {})
        for size in [size for size, (pages, _) in sizes.items() if not pages.fits(state)]:
            del sizes[size]
        size = room_of(state)
        if size not in sizes:
            pages = PagedStepState(state, self._zeros(size[0]), self._zeros(*size))
            sizes[size] = pages, self._made(pages)
        pages, step = sizes[size]
        pages.put(state)
        return step

    def _made(self, state: StepState | PagedStepState) -> Step:
        return Step(self._decoder, state, self._zeros(state.batch, 1), self._capture)

    def _zeros(self, *shape: int) -> Tensor:
        return torch.zeros(shape, dtype=torch.int64, device=self._decoder.embedding.weight.device)


def _same(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))
