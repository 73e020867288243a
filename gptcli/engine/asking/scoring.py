"""How probable a text's own tokens were: log-probability, rank and the model's first choice.

A text longer than the context is scored in overlapping windows, by the rule of transformers'
guide "Perplexity of fixed-length models": window k holds the tokens from k × stride on, as many
as the context takes, and scores those that no window before it held. What every text of the model
begins with (a BOS token) begins every window: a model that never saw a text without it predicts
far worse there, and by how much depends on where the windows happen to begin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.sampling import check_finite
from gptcli.engine.runner import CHUNK, HEAD_ROWS, Runner
from gptcli.engine.state.model_state import ModelState
from gptcli.plain import dataclass


@dataclass(frozen=True)
class Scored:
    """A token at its place in a text, under the model's raw distribution there.

    Log-probabilities are natural. rank: how many tokens have a larger logit, and 1. best: the most
    probable token, of equals the one with the lowest id.
    """

    id: int
    logprob: float
    rank: int
    best: int
    best_logprob: float


@dataclass(frozen=True)
class Window:
    """Tokens [start, end) of a text are run together; those of [first, end) are scored.

    before: how many of the text's first tokens are run before them.
    """

    start: int
    first: int
    end: int
    before: int = 0

    def run(self, ids: Sequence[int]) -> tuple[list[int], int]:
        """What runs of a text for it, and after which place of that the logits score `first`."""
        # The last token is not run: nothing that follows it is scored here.
        seen = [*ids[: self.before], *ids[self.start : self.end - 1]]
        return seen, self.before + self.first - self.start - 1


def windows(total: int, first: int, context: int, stride: int, *, begins: int = 0) -> list[Window]:
    """How `total` tokens are scored from position `first` on, 1 ≤ first, 1 ≤ stride < context.

    Every position of [first, total) is scored in exactly one window, and has at least
    context − stride tokens before it there, or all that there are. Windows that would score
    nothing are left out. begins: how many of the first tokens begin each window, at most `first`
    and context − stride.
    """
    if not (first >= 1 and 1 <= stride < context and 0 <= begins <= min(first, context - stride)):
        raise ValueError(f"no windows from {first}, of {context} tokens, with stride {stride}")
    found: list[Window] = []
    start, done = begins, first
    while done < total:
        end = min(start + context - begins, total)
        if end > done:
            whole = start == begins  # the first holds its beginning as it stands
            found.append(Window(0, done, end) if whole else Window(start, done, end, begins))
            done = end
        start += stride
    return found


def score(
    runner: Runner,
    ids: Sequence[int],
    plan: Sequence[Window],
    *,
    chunk: int = CHUNK,
    rows: int = HEAD_ROWS,
) -> Iterator[Scored]:
    """The scored tokens of every window, in order.

    Logits of at most `rows` positions are held at once. Raises NonFiniteError where a
    distribution has NaN or +inf, or nothing but -inf.
    """
    state = runner.new_state()
    for window in plan:
        position = window.first
        for logits in logits_of(runner, state, ids, window, chunk=chunk, rows=rows):
            yield from score_rows(logits, ids[position : position + len(logits)])
            position += len(logits)


def logits_of(
    runner: Runner,
    state: ModelState,
    ids: Sequence[int],
    window: Window,
    *,
    chunk: int = CHUNK,
    rows: int = HEAD_ROWS,
) -> Iterator[Array]:
    """The logits before every scored token of a window, in parts of at most (rows, vocab)."""
    state.clear()
    seen, first = window.run(ids)
    return runner.logits_in_parts(seen, state, first=first, chunk=chunk, rows=rows)


def score_rows(logits: Array, ids: Sequence[int]) -> list[Scored]:
    """One id for each row of logits (rows, vocab), float32. Raises NonFiniteError."""
    check_finite(logits)
    xp = namespace(logits)
    total = arrays.logsumexp(logits)  # (rows,)
    wanted = arrays.indices(ids, logits)[:, None]
    picked = xp.take_along_axis(logits, wanted, axis=-1)  # (rows, 1)
    rank = xp.sum(logits > picked, axis=-1) + 1
    # The first of equals, in both libraries.
    best = xp.argmax(logits, axis=-1, keepdims=True)
    largest = xp.take_along_axis(logits, best, axis=-1)
    columns = (
        (picked[:, 0] - total).tolist(),
        rank.tolist(),
        best[:, 0].tolist(),
        (largest[:, 0] - total).tolist(),
    )
    return [Scored(*row) for row in zip(ids, *columns, strict=True)]
