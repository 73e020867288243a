"""Figures of one way to run a file, over the places that llama-perplexity scores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gptcli.engine import arrays
from gptcli.engine.runner import Runner
from tests.bench.quality.base import Base

Floats = NDArray[np.float64]
#: Of the base's log-probabilities, those below add nothing in llama-perplexity's sum.
_LEAST = -16.0


@dataclass(frozen=True)
class Figures:
    """perplexity; divergence: mean KL from a base, in nats; agreement: of the most probable."""

    perplexity: float
    divergence: float | None = None
    agreement: float | None = None


@dataclass
class Sums:
    """Figures on their way."""

    places: int = 0
    nats: float = 0.0
    divergence: float = 0.0
    agreed: int = 0

    def figures(self) -> Figures:
        """Means of what there was."""
        count = self.places
        mean = self.divergence / count
        return Figures(math.exp(self.nats / count), mean, self.agreed / count)


def logits(runner: Runner, base: Base, begin: tuple[int, ...]) -> Iterator[NDArray[np.float32]]:
    """Those of the scored places, (vocab,) each. begin: tokens in place of a chunk's first."""
    state = runner.new_state()
    for chunk in base.chunks:
        state.clear()
        ids = [*begin, *chunk[len(begin) : base.context - 1].tolist()]
        for part in runner.logits_in_parts(ids, state, first=base.first):
            yield from arrays.host(part)


def compared(
    runner: Runner, exact: Runner, base: Base, begin: tuple[int, ...]
) -> tuple[Figures, Figures, Figures]:
    """Against our own float32, to the last digit; against llama.cpp's, as it compares; float32's.

    The last has the perplexity alone.
    """
    ours, theirs, right_sums = Sums(), Sums(), Sums()
    pairs = zip(logits(runner, base, begin), logits(exact, base, begin), strict=True)
    for chunk in range(len(base.chunks)):
        wanted = base.chunks[chunk, base.first + 1 :].tolist()
        for token, kept in zip(wanted, base.logprobs(chunk), strict=True):
            found, right = next(pairs)
            q, p = (arrays.log_softmax(each.astype(np.float64)) for each in (found, right))
            for sums, other in ((ours, p), (theirs, kept)):
                sums.places += 1
                sums.nats -= float(q[token])
                sums.agreed += int(found.argmax() == other.argmax())
            right_sums.places += 1
            right_sums.nats -= float(p[token])
            ours.divergence += float((np.exp(p) * (p - q)).sum())
            counted = kept > _LEAST
            theirs.divergence += float((np.exp(kept) * (kept - q))[counted].sum())
    return ours.figures(), theirs.figures(), Figures(right_sums.figures().perplexity)
