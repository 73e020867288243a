"""Generation as an iterator of steps: draw, hand out, append, run again."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.drawing import generators, next_ids
from gptcli.engine.asking.history import History
from gptcli.engine.asking.prefix import PrefixCache, begin
from gptcli.engine.asking.sampling import likeliest
from gptcli.types.sampling import Sampling


@dataclass(frozen=True)
class Alternative:
    """A token and its log-probability (natural log) in the model's raw distribution."""

    id: int
    logprob: float


@dataclass(frozen=True)
class Drawn:
    """The token that one sample drew. `ends`: it is an end token, and the sample is over.

    logprob and top are there only where they were asked for. allowed: the log-probability, in the
    same raw distribution, of all tokens that could be drawn: 0 where no constraint forbade any.
    """

    sample: int
    id: int
    ends: bool
    logprob: float | None = None
    top: tuple[Alternative, ...] = ()
    allowed: float = 0.0


#: The ids that may follow the tokens that a sample has drawn so far; None where all may.
Constraint = Callable[[Sequence[int]], Collection[int] | None]


class Generation:
    """Samples of one prompt or of several, in one batch; iterating gives one step after another.

    Each prompt is a sample; the same prompt may come several times. A step is one Drawn for each
    sample that is still alive. A sample ends with an end token, at the token limit, or when `stop`
    is called for it between two steps; ended samples leave the batch. Sample i draws with a
    generator of its own, seeded with seed + i, so it does not depend on how many samples there
    are. What the prompts have in common, also with what `prefix` holds, is computed once. What
    `constraint` forbids is taken away before the sampler's stages; log-probabilities stay those of
    the raw distribution.
    """

    def __init__(
        self,
        prefix: PrefixCache,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        *,
        max_new_tokens: int,
        end_ids: Collection[int] = (),
        seed: int = 0,
        logprobs: int | None = None,
        constraint: Constraint | None = None,
    ) -> None:
        self._prefix = prefix
        self._prompts = [list(prompt) for prompt in prompts]
        self._sampling = sampling
        self._limit = max_new_tokens
        self._end_ids = frozenset(end_ids)
        self._logprobs = logprobs
        self._constraint = constraint
        self._alive = list(range(len(prompts)))
        self._histories = [History(prompt) for prompt in self._prompts]
        self._generators = generators(seed, len(prompts))

    def stop(self, sample: int) -> None:
        """End a sample: it takes no part in the next step."""
        if sample in self._alive:
            self._alive.remove(sample)

    def __iter__(self) -> Iterator[list[Drawn]]:
        """Yields the steps. The first comes after the prefill; limit 0 gives none."""
        if self._limit <= 0 or not self._alive:
            return
        state, logits = begin(self._prefix, [self._prompts[sample] for sample in self._alive])
        for step in range(self._limit):
            rows = list(self._alive)
            drawn = self._draw(rows, logits)
            for token in drawn:
                if token.ends:
                    self.stop(token.sample)
            yield drawn
            if not self._alive or step + 1 == self._limit:
                return
            if self._alive != rows:
                state.pick([rows.index(sample) for sample in self._alive])
            last = [self._histories[sample].generated[-1] for sample in self._alive]
            if state is self._prefix.state:
                logits = self._prefix.decode(last[0])
            else:
                logits = self._prefix.runner.decode(last, state)

    def _draw(self, rows: list[int], logits: Array) -> list[Drawn]:
        histories = [self._histories[sample] for sample in rows]
        limited, allowed = self._limited(logits, histories)
        ids = next_ids(
            limited, self._sampling, histories, [self._generators[sample] for sample in rows]
        )
        for history, token in zip(histories, ids, strict=True):
            history.generated.append(token)
        ends = [token in self._end_ids for token in ids]
        if self._logprobs is None:
            return [Drawn(*each) for each in zip(rows, ids, ends, strict=True)]
        drawn, top = logprobs_of(logits, ids, self._logprobs)
        return [Drawn(*each) for each in zip(rows, ids, ends, drawn, top, allowed, strict=True)]

    def _limited(
        self, logits: Array, histories: Sequence[History]
    ) -> tuple[Array, Sequence[float]]:
        """Logits with -inf where the constraint forbids, and what is left of the probability."""
        allowed = [0.0] * len(histories)
        wanted = (
            [None] * len(histories)
            if self._constraint is None
            else [self._constraint(history.generated) for history in histories]
        )
        if not any(ids is not None for ids in wanted):
            return logits, allowed
        limited = namespace(logits).asarray(logits, copy=True)
        for row, ids in enumerate(wanted):
            if ids is not None:
                limited[row] = only(logits[row], ids)
                allowed[row] = float(arrays.logsumexp(limited[row]) - arrays.logsumexp(logits[row]))
        return limited, allowed


def only(logits: Array, ids: Collection[int]) -> Array:
    """Logits (vocab,) with -inf for all but some ids."""
    index = arrays.indices(list(ids), logits)
    limited = namespace(logits).full_like(logits, -math.inf)
    limited[index] = logits[index]
    return limited


def logprobs_of(
    logits: Array, ids: Sequence[int], count: int
) -> tuple[list[float], list[tuple[Alternative, ...]]]:
    """Raw log-probabilities of one id per row, and of each row's `count` most probable tokens."""
    logprobs = arrays.log_softmax(logits)  # (rows, vocab)
    wanted = arrays.indices(ids, logits)[:, None]
    picked = namespace(logits).take_along_axis(logprobs, wanted, axis=-1)
    values, at = likeliest(logprobs, count) if count else (logprobs[:, :0], logprobs[:, :0])
    top = [
        tuple(Alternative(*pair) for pair in zip(row_ids, row, strict=True))
        for row_ids, row in zip(at.tolist(), values.tolist(), strict=True)
    ]
    return picked[:, 0].tolist(), top
