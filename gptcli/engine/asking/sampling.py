"""From logits to what is drawn from: pure stages in a fixed order.

    rules → penalties → logit bias → temperature → top-k → top-p → min-p → draw

Every stage takes float32 logits (rows, vocab), of numpy or torch, and gives logits of the same
shape; a token that is filtered out becomes -inf. A stage that its setting turns off does not run.
`stages` gives every intermediate, for whoever wants to show what each stage did; `distribution`
gives the last.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking import rules
from gptcli.engine.asking.history import History
from gptcli.errors import NonFiniteError
from gptcli.types.sampling import Sampling

#: How many candidates top-p looks at first: mostly enough, and far cheaper than a full sort.
_TOP_P_FIRST = 128


def stages(
    logits: Array, sampling: Sampling, histories: Sequence[History]
) -> Iterator[tuple[str, Array]]:
    """(name, logits) for the raw logits and after every stage that runs, in order.

    Raises NonFiniteError where a row has NaN or +inf, or nothing but -inf.
    """
    for name, adjusted in adjustments(logits, sampling, histories):
        logits = adjusted
        yield name, logits
    if sampling.temperature == 0:
        # Greedy: no later filter can take the most probable token away.
        yield "greedy", greedy(logits)
        return
    if sampling.temperature != 1:
        logits = temperature(logits, sampling.temperature)
        yield "temperature", logits
    if sampling.top_k:
        logits = top_k(logits, sampling.top_k)
        yield "top-k", logits
    if sampling.top_p < 1:
        logits = top_p(logits, sampling.top_p)
        yield "top-p", logits
    if sampling.min_p:
        logits = min_p(logits, sampling.min_p)
        yield "min-p", logits


def adjustments(
    logits: Array, sampling: Sampling, histories: Sequence[History]
) -> Iterator[tuple[str, Array]]:
    """(name, logits) for the raw logits and after every stage before the temperature."""
    check_finite(logits)
    yield "logits", logits
    if sampling.rules.favours:
        logits = rules.favour(logits, sampling.rules, histories)
        check_finite(logits, "model-biases")
        yield "model-biases", logits
    if sampling.repeat_penalty != 1:
        logits = repeat_penalty(
            logits, sampling.repeat_penalty, histories, last=sampling.repeat_last
        )
        # A penalty near 0 makes numbers that float32 does not hold.
        check_finite(logits, "repeat-penalty")
        yield "repeat-penalty", logits
    if sampling.rules.restrict:
        logits = rules.restrict(logits, sampling.rules, histories)
        check_finite(logits, "model-rules")
        yield "model-rules", logits
    if sampling.presence_penalty or sampling.frequency_penalty:
        logits = count_penalties(
            logits, sampling.presence_penalty, sampling.frequency_penalty, histories
        )
        yield "presence/frequency-penalty", logits
    if sampling.logit_bias:
        logits = bias(logits, sampling.logit_bias)
        # A bias of -inf can forbid every token that there is.
        check_finite(logits, "logit-bias")
        yield "logit-bias", logits


def likeliest(logits: Array, count: int) -> tuple[Array, Array]:
    """The `count` largest of each row (rows, vocab): values and ids, of equals the lowest id first.

    So a count gives the beginning of what a larger one gives.
    """
    ids = arrays.top_ids(logits, min(count, logits.shape[-1]))
    return namespace(logits).take_along_axis(logits, ids, axis=-1), ids


def distribution(logits: Array, sampling: Sampling, histories: Sequence[History]) -> Array:
    """Logits after all stages, (rows, vocab); their softmax is what is drawn from."""
    for _, last in stages(logits, sampling, histories):
        logits = last
    return logits


def check_finite(logits: Array, step: str | None = None) -> None:
    """Raise NonFiniteError unless every row's largest logit is a finite number.

    step: the stage of the sampler that made them, None for the model itself.
    """
    xp = namespace(logits)
    # max carries NaN through, so one number per row tells.
    if bool(xp.all(xp.isfinite(_largest(logits)))):
        return
    if step is not None:
        reason = "leaves no token that could be drawn, or numbers beyond what float32 holds"
        raise NonFiniteError(step, reason)
    raise NonFiniteError(
        "logits",
        "the model gave NaN or infinite numbers instead of a distribution",
        "its weights may be damaged, or need another --dtype",
    )


@arrays.quiet
def repeat_penalty(
    logits: Array, penalty: float, histories: Sequence[History], *, last: int = 0
) -> Array:
    """Divide positive and multiply negative logits of tokens in the prompt or generated so far.

    The form of CTRL (arXiv:1909.05858), as transformers and llama.cpp have it. last: of so many
    tokens that were generated last, not of the prompt; 0 is all.
    """
    xp = namespace(logits)
    logits = xp.asarray(logits, copy=True)
    for row, history in enumerate(histories):
        before = history.generated[-last:] if last else (*history.prompt, *history.generated)
        seen = arrays.indices(sorted(set(before)), logits)
        old = logits[row, seen]
        logits[row, seen] = xp.where(old > 0, old / penalty, old * penalty)
    return logits


def count_penalties(
    logits: Array, presence: float, frequency: float, histories: Sequence[History]
) -> Array:
    """Subtract presence + frequency × count for every token generated so far, as OpenAI does."""
    xp = namespace(logits)
    logits = xp.asarray(logits, copy=True)
    for row, history in enumerate(histories):
        counts = Counter(history.generated)
        times = xp.asarray(list(counts.values()), dtype=logits.dtype, device=logits.device)
        logits[row, arrays.indices(list(counts), logits)] -= presence + frequency * times
    return logits


def bias(logits: Array, biases: Sequence[tuple[int, float]]) -> Array:
    """Add a number to the logits of some tokens; -inf forbids one."""
    logits = namespace(logits).asarray(logits, copy=True)
    for token, amount in biases:
        logits[:, token] += amount
    return logits


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
def temperature(logits: Array, value: float) -> Array:
    """Divide by the temperature: below 1 the likely grow likelier, above 1 all grow alike.

    The largest logit is taken away first, which changes no probability and keeps a tiny
    temperature from overflowing. A temperature that float32 takes for 0 or infinite would make
    0/0 or inf/inf, so it becomes the nearest that is neither.
    """
    limits = namespace(logits).finfo(logits.dtype)
    bounded = min(max(value, float(limits.smallest_normal)), float(limits.max))
    return (logits - _largest(logits)) / bounded


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
    return _at_least(logits, _largest(logits) + math.log(p))


def _at_least(logits: Array, least: Array) -> Array:
    return namespace(logits).where(logits < least, -math.inf, logits)


@arrays.quiet
def _largest(logits: Array) -> Array:
    return namespace(logits).max(logits, axis=-1, keepdims=True)
