"""From logits to what is drawn from: pure stages, in the order that the settings say.

    rules → penalties → logit bias → DRY → temperature → top-n-sigma → top-k → typical-p → top-p
        → min-p → XTC → draw

That is llama.cpp's order (`types.samplers`), but for a fixed temperature, which comes before what
filters, as transformers has it. Every stage takes float32 logits (rows, vocab), of numpy or torch,
and gives logits of the same shape; a token that is filtered out becomes -inf. A stage that its
setting turns off does not run. `stages` gives every intermediate, for whoever wants to show what
each stage did; `distribution` gives the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking import filters, penalties, rules
from gptcli.engine.asking.dry import dry
from gptcli.engine.asking.history import History
from gptcli.errors import NonFiniteError
from gptcli.types.sampling import Sampling

_TEMPERATURE, _PENALTIES = "temperature", "penalties"


def stages(
    logits: Array, sampling: Sampling, histories: Sequence[History], chances: Sequence[float] = ()
) -> Iterator[tuple[str, Array]]:
    """(name, logits) for the raw logits and after every stage that runs, in order.

    chances: a uniform number for each row, where `sampling.xtc`. Raises NonFiniteError where a row
    has NaN or +inf, or nothing but -inf.
    """
    for name, adjusted in adjustments(logits, sampling, histories, chances):
        logits = adjusted
        yield name, logits
    if sampling.temperature == 0:
        # Greedy: no later filter can take the most probable token away.
        yield "greedy", filters.greedy(logits)
        return
    order = sampling.order
    rest = order[order.index(_TEMPERATURE) :] if _TEMPERATURE in order else ()
    yield from _run(rest, logits, sampling, histories, chances)


def adjustments(
    logits: Array, sampling: Sampling, histories: Sequence[History], chances: Sequence[float] = ()
) -> Iterator[tuple[str, Array]]:
    """(name, logits) for the raw logits and after every stage before the temperature."""
    check_finite(logits)
    yield "logits", logits
    order = sampling.order
    before = order[: order.index(_TEMPERATURE)] if _TEMPERATURE in order else order
    first = before[:1] == (_PENALTIES,)
    for name, adjusted in _adjusted(logits, sampling, histories, punish=first):
        logits = adjusted
        yield name, logits
    yield from _run(before[first:], logits, sampling, histories, chances)


def _adjusted(
    logits: Array, sampling: Sampling, histories: Sequence[History], *, punish: bool
) -> Iterator[tuple[str, Array]]:
    """What comes before all samplers; punish: with the penalties in between."""
    if sampling.rules.favours:
        logits = rules.favour(logits, sampling.rules, histories)
        check_finite(logits, "model-biases")
        yield "model-biases", logits
    if punish and sampling.repeat_penalty != 1:
        logits = _repeat(logits, sampling, histories)
        yield "repeat-penalty", logits
    if sampling.rules.restrict:
        logits = rules.restrict(logits, sampling.rules, histories)
        check_finite(logits, "model-rules")
        yield "model-rules", logits
    if punish and (sampling.presence_penalty or sampling.frequency_penalty):
        logits = _counts(logits, sampling, histories)
        yield "presence/frequency-penalty", logits
    if sampling.logit_bias:
        logits = penalties.bias(logits, sampling.logit_bias)
        # A bias of -inf can forbid every token that there is.
        check_finite(logits, "logit-bias")
        yield "logit-bias", logits


def _run(
    order: Sequence[str],
    logits: Array,
    sampling: Sampling,
    histories: Sequence[History],
    chances: Sequence[float],
) -> Iterator[tuple[str, Array]]:
    """The samplers of these names that are on."""
    for sampler in order:
        for name, made in _stage(sampler, logits, sampling, histories, chances):
            logits = made
            yield name, logits


def _stage(
    name: str,
    logits: Array,
    sampling: Sampling,
    histories: Sequence[History],
    chances: Sequence[float],
) -> Iterator[tuple[str, Array]]:
    match name:
        case "penalties":
            if sampling.repeat_penalty != 1:
                logits = _repeat(logits, sampling, histories)
                yield "repeat-penalty", logits
            if sampling.presence_penalty or sampling.frequency_penalty:
                yield "presence/frequency-penalty", _counts(logits, sampling, histories)
        case "dry" if sampling.dry:
            logits = dry(logits, sampling, histories)
            check_finite(logits, "dry")
            yield "dry", logits
        case "temperature" if sampling.dynamic:
            low = max(sampling.temperature - sampling.dynatemp_range, 0.0)
            high = sampling.temperature + sampling.dynatemp_range
            found = filters.dynamic(logits, low, high, sampling.dynatemp_exponent)
            yield "dynamic-temperature", filters.temperature(logits, found)
        case "temperature" if sampling.temperature != 1:
            yield "temperature", filters.temperature(logits, sampling.temperature)
        case "top_n_sigma" if sampling.top_n_sigma > 0:
            yield "top-n-sigma", filters.top_n_sigma(logits, sampling.top_n_sigma)
        case "top_k" if sampling.top_k:
            yield "top-k", filters.top_k(logits, sampling.top_k)
        case "typ_p" if sampling.typical_p < 1:
            yield "typical-p", filters.typical_p(logits, sampling.typical_p)
        case "top_p" if sampling.top_p < 1:
            yield "top-p", filters.top_p(logits, sampling.top_p)
        case "min_p" if sampling.min_p:
            yield "min-p", filters.min_p(logits, sampling.min_p)
        case "xtc" if sampling.xtc:
            happens = [chance < sampling.xtc_probability for chance in chances]
            yield "xtc", filters.xtc(logits, sampling.xtc_threshold, happens)


def filtered(name: str, logits: Array, sampling: Sampling) -> Array:
    """Logits after a sampler that looks at nothing but them."""
    for _, made in _stage(name, logits, sampling, (), ()):
        logits = made
    return logits


def _repeat(logits: Array, sampling: Sampling, histories: Sequence[History]) -> Array:
    logits = penalties.repeat_penalty(
        logits, sampling.repeat_penalty, histories, last=sampling.repeat_last
    )
    # A penalty near 0 makes numbers that float32 does not hold.
    check_finite(logits, "repeat-penalty")
    return logits


def _counts(logits: Array, sampling: Sampling, histories: Sequence[History]) -> Array:
    return penalties.count_penalties(
        logits, sampling.presence_penalty, sampling.frequency_penalty, histories
    )


def likeliest(logits: Array, count: int) -> tuple[Array, Array]:
    """The `count` largest of each row (rows, vocab): values and ids, of equals the lowest id first.

    So a count gives the beginning of what a larger one gives.
    """
    ids = arrays.top_ids(logits, min(count, logits.shape[-1]))
    return namespace(logits).take_along_axis(logits, ids, axis=-1), ids


def distribution(
    logits: Array, sampling: Sampling, histories: Sequence[History], chances: Sequence[float] = ()
) -> Array:
    """Logits after all stages, (rows, vocab); their softmax is what is drawn from."""
    for _, last in stages(logits, sampling, histories, chances):
        logits = last
    return logits


def check_finite(logits: Array, step: str | None = None) -> None:
    """Raise NonFiniteError unless every row's largest logit is a finite number.

    step: the stage of the sampler that made them, None for the model itself.
    """
    xp = namespace(logits)
    # max carries NaN through, so one number per row tells.
    if bool(xp.all(xp.isfinite(filters.largest(logits)))):
        return
    if step is not None:
        reason = "leaves no token that could be drawn, or numbers beyond what float32 holds"
        raise NonFiniteError(step, reason)
    raise NonFiniteError(
        "logits",
        "the model gave NaN or infinite numbers instead of a distribution",
        "its weights may be damaged, or need another --dtype",
    )
