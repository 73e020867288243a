"""The temperature, and what filters: stages of `sampling` that look at the logits alone.

All take float32 logits (rows, vocab) and give such; what is filtered out becomes -inf. Of tokens
that tie at a border all stay.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace

#: How many candidates top-p looks at first: mostly enough, and far cheaper than a full sort.
_TOP_P_FIRST = 128


def greedy(logits: Array) -> Array:
    """Only the most probable token stays; of equals, the one with the lowest id."""
    xp = namespace(logits)
    # The first of equals, in both libraries.
    best = xp.argmax(logits, axis=-1)
    rows = xp.arange(logits.shape[0], device=logits.device)
    found = xp.full_like(logits, -math.inf)
    found[rows, best] = logits[rows, best]
    return found


@arrays.quiet
def temperature(logits: Array, value: float | Array) -> Array:
    """Divide by the temperature: below 1 the likely grow likelier, above 1 all grow alike.

    value: one for all rows, or one for each (rows, 1). The largest logit is taken away first, which
    changes no probability and keeps a tiny temperature from overflowing. A temperature that float32
    takes for 0 or infinite would make 0/0 or inf/inf, so it becomes the nearest that is neither.
    """
    xp = namespace(logits)
    limits = xp.finfo(logits.dtype)
    least, most = float(limits.smallest_normal), float(limits.max)
    if isinstance(value, float | int):
        return (logits - largest(logits)) / min(max(value, least), most)
    return (logits - largest(logits)) / xp.clip(value, least, most)


@arrays.quiet
def dynamic(logits: Array, low: float, high: float, exponent: float) -> Array:
    """A temperature for each row (rows, 1): from low to high by how undecided the model is.

    That is the entropy's share of the most that as many tokens can have, to the power of the
    exponent, as llama.cpp has it; of a single token it is 0.
    """
    xp = namespace(logits)
    entropy = _entropy(arrays.log_softmax(logits))
    count = xp.sum(logits > -math.inf, axis=-1, keepdims=True)
    most = xp.log(xp.astype(xp.where(count > 1, count, 2), logits.dtype))
    share = xp.clip(entropy / most, 0.0, 1.0)
    return low + (high - low) * share**exponent


def top_n_sigma(logits: Array, n: float) -> Array:
    """Keep tokens whose logit is at most n standard deviations below the best (arXiv:2411.07641).

    What is forbidden already is no part of the deviation.
    """
    xp = namespace(logits)
    alive = logits > -math.inf
    count = xp.sum(alive, axis=-1, keepdims=True)
    best = largest(logits)
    # From the best one, so that large logits lose nothing.
    below = xp.where(alive, logits - best, 0.0)
    mean = xp.sum(below, axis=-1, keepdims=True) / count
    apart = xp.where(alive, below - mean, 0.0)
    deviation = xp.sqrt(xp.sum(apart * apart, axis=-1, keepdims=True) / count)
    return _at_least(logits, best - n * xp.astype(deviation, logits.dtype))


def typical_p(logits: Array, p: float) -> Array:
    """Keep the fewest tokens, the nearest in surprise to the entropy first, whose mass reaches p.

    And those that are as near as the last of them. Locally typical sampling (arXiv:2202.00666).
    """
    xp = namespace(logits)
    logprobs = arrays.log_softmax(logits)
    away = xp.abs(logprobs + _entropy(logprobs))
    order = arrays.ranked(-away)
    mass = _mass(xp.take_along_axis(logprobs, order, axis=-1))
    last = xp.sum(mass[..., :-1] < p, axis=-1)
    places = xp.take_along_axis(order, last[..., None], axis=-1)
    most = xp.take_along_axis(away, places, axis=-1)
    return xp.where(away > most, -math.inf, logits)


def xtc(logits: Array, threshold: float, happens: Sequence[bool]) -> Array:
    """Where it happens, of the tokens at least that probable only the least likely stays, and those
    that tie with it: "exclude top choices", as llama.cpp has it.
    """
    if not any(happens):
        return logits
    xp = namespace(logits)
    probable = arrays.log_softmax(logits) >= (math.log(threshold) if threshold else -math.inf)
    least = xp.min(xp.where(probable, logits, math.inf), axis=-1, keepdims=True)
    on = xp.asarray(list(happens), device=logits.device)[:, None]
    return xp.where(on & (logits > least), -math.inf, logits)


@arrays.quiet
def _entropy(logprobs: Array) -> Array:
    """In nats, (rows, 1)."""
    xp = namespace(logprobs)
    # A token that cannot come adds 0 · log 0, which is 0.
    parts = xp.where(logprobs > -math.inf, xp.exp(logprobs) * logprobs, 0.0)
    return -xp.sum(parts, axis=-1, keepdims=True)


def top_k(logits: Array, k: int) -> Array:
    """Keep the k most probable tokens, and those that tie with the last of them."""
    if k >= logits.shape[-1]:
        return logits
    return _at_least(logits, arrays.top(logits, k)[..., -1:])


def top_p(logits: Array, p: float) -> Array:
    """Keep the fewest most probable tokens whose mass reaches p, and those that tie with the last.

    Nucleus sampling (arXiv:1904.09751). Looks at the best few candidates and only sorts on where
    their mass does not reach p; `top_p_by_sorting` is the obvious form that it must equal.
    """
    if arrays.far(logits):
        # To ask whether few are enough takes longer there than to sort all.
        return top_p_by_sorting(logits, p)
    vocab = logits.shape[-1]
    total = arrays.logsumexp(logits)[..., None]
    k = min(_TOP_P_FIRST, vocab)
    while True:
        best = arrays.top(logits, k)
        mass = _mass(best - total)
        if k == vocab or bool((mass[:, -1] >= p).all()):
            break
        k = min(k * 8, vocab)
    return _keep_mass(logits, best, mass, p)


def top_p_by_sorting(logits: Array, p: float) -> Array:
    """The slow, obvious `top_p`: sort everything."""
    best = arrays.top(logits, logits.shape[-1])
    total = arrays.logsumexp(logits)[..., None]
    return _keep_mass(logits, best, _mass(best - total), p)


def _mass(logprobs: Array) -> Array:
    xp = namespace(logprobs)
    return xp.cumulative_sum(xp.exp(logprobs), axis=-1)


def _keep_mass(logits: Array, best: Array, mass: Array, p: float) -> Array:
    xp = namespace(logits)
    last = xp.sum(mass[..., :-1] < p, axis=-1)
    return _at_least(logits, xp.take_along_axis(best, last[..., None], axis=-1))


def min_p(logits: Array, p: float) -> Array:
    """Keep tokens at least p times as probable as the most probable one (arXiv:2407.01082)."""
    return _at_least(logits, largest(logits) + math.log(p))


def _at_least(logits: Array, least: Array) -> Array:
    return namespace(logits).where(logits < least, -math.inf, logits)


@arrays.quiet
def largest(logits: Array) -> Array:
    """The largest logit of each row, (rows, 1)."""
    return namespace(logits).max(logits, axis=-1, keepdims=True)
