"""What is drawn for the rows of a batch, each as it would be alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import field
from random import Random

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.drawing import next_ids
from gptcli.engine.asking.history import History
from gptcli.engine.asking.sampling import likeliest
from gptcli.engine.asking.taking_back import Ban, Held, Pending, uncertain
from gptcli.errors import NonFiniteError
from gptcli.plain import dataclass
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


@dataclass(frozen=True)
class Read:
    """A token of a prompt, and how much the model expected it after those before it.

    The first has nothing before it, and no log-probability.
    """

    id: int
    logprob: float | None
    top: tuple[Alternative, ...] = ()


#: The ids that may follow the tokens that a sample has drawn so far; None where all may.
Constraint = Callable[[Sequence[int]], Collection[int] | None]
#: The id that comes next whatever the logits say, of a sample that has drawn these; None for none.
Forced = Callable[[int, Sequence[int]], int | None]


@dataclass(frozen=True, eq=False)
class Draws:
    """How texts are drawn.

    Sample i draws with a generator of its own, seeded with seed + i. logprobs: None for none, else
    how many alternatives to give beside each drawn token; prompt_logprobs: the same of each token
    of the prompt. What `constraint` forbids is taken away before the sampler's stages;
    log-probabilities stay those of the raw distribution. `forced` is asked before each token, in
    their order. drafts: how many tokens are looked up in the text and run at once, where it is
    alone, see `ahead`; None for as many as pay. ban: what must not come, see `taking_back`.
    """

    sampling: Sampling
    max_new_tokens: int
    end_ids: frozenset[int] = frozenset()
    seed: int = 0
    logprobs: int | None = None
    constraint: Constraint | None = None
    prompt_logprobs: int | None = None
    drafts: int | None = 0
    forced: Forced | None = None
    ban: Ban | None = None


@dataclass(eq=False)
class Text:
    """A sample as it grows: what stands before the next token, and where its chance comes from."""

    draws: Draws
    sample: int
    history: History
    generator: Random = field(repr=False)
    pending: Pending[Drawn] = field(default_factory=Pending, repr=False)


def draw_rows(texts: Sequence[Text], logits: Array) -> list[list[Drawn]]:
    """A token for each text, all drawn alike, from its row of the logits (texts, vocab).

    It is noted in the text's history. What is certain of each text now comes back: the token, but
    where a ban may take it back none yet, or several. Raises as `sampling.stages` does, and nothing
    is noted then.
    """
    ban = texts[0].draws.ban
    drawn = _drawn(texts, logits)
    if ban is None:
        return [[each] for each in drawn]
    return [
        _settled(text, each, logits[row : row + 1], ban)
        for row, (text, each) in enumerate(zip(texts, drawn, strict=True))
    ]


def _drawn(texts: Sequence[Text], logits: Array) -> list[Drawn]:
    draws = texts[0].draws
    histories = [text.history for text in texts]
    limited, allowed = _limited(draws.constraint, logits, histories)
    limited = _without(texts, limited)
    generators = [text.generator for text in texts]
    ids = next_ids(limited, draws.sampling, histories, generators)
    if draws.forced is not None:
        due = [draws.forced(text.sample, text.history.generated) for text in texts]
        ids = [one if token is None else token for one, token in zip(ids, due, strict=True)]
    for history, token in zip(histories, ids, strict=True):
        history.generated.append(token)
    samples = [text.sample for text in texts]
    ends = [token in draws.end_ids for token in ids]
    if draws.logprobs is None:
        return [Drawn(*each) for each in zip(samples, ids, ends, strict=True)]
    drawn, top = logprobs_of(logits, ids, draws.logprobs)
    return [Drawn(*each) for each in zip(samples, ids, ends, drawn, top, allowed, strict=True)]


def _settled(text: Text, drawn: Drawn, logits: Array, ban: Ban) -> list[Drawn]:
    """What is certain, once nothing stands there that must not; see `taking_back`."""
    generated, pending = text.history.generated, text.pending
    ran = len(generated) - 1
    pending.held.append(Held(drawn, namespace(logits).asarray(logits, copy=True)))
    while (place := None if drawn.ends else ban.begins(generated)) is not None:
        again = pending.take_back(generated, place)
        while again is not None and not _any_left(text, again):
            # Nothing fits here any more, so what led here does not either.
            again = pending.take_back(generated, len(generated) - 1)
        if again is None:
            raise NonFiniteError("--ban", "leaves no token that could be drawn")
        (drawn,) = _drawn([text], again)
        pending.held.append(Held(drawn, again))
    pending.went_back = len(generated) <= ran
    over = drawn.ends or len(generated) >= text.draws.max_new_tokens
    return pending.release(len(generated), 0 if over else uncertain(ban, generated))


def _without(texts: Sequence[Text], logits: Array) -> Array:
    """Logits with -inf for what was taken back where each text stands now."""
    forbidden = [text.pending.forbidden.get(len(text.history.generated)) for text in texts]
    if not any(forbidden):
        return logits
    logits = namespace(logits).asarray(logits, copy=True)
    for row, ids in enumerate(forbidden):
        if ids:
            logits[row, arrays.indices(sorted(ids), logits)] = -math.inf
    return logits


def _any_left(text: Text, logits: Array) -> bool:
    """Whether a token may still be drawn, from logits (1, vocab)."""
    limited, _ = _limited(text.draws.constraint, logits, [text.history])
    return bool((_without([text], limited) > -math.inf).any())


def _limited(
    constraint: Constraint | None, logits: Array, histories: Sequence[History]
) -> tuple[Array, Sequence[float]]:
    """Logits with -inf where the constraint forbids, and what is left of the probability."""
    allowed = [0.0] * len(histories)
    wanted = (
        [None] * len(histories)
        if constraint is None
        else [constraint(history.generated) for history in histories]
    )
    if not any(ids is not None for ids in wanted):
        return logits, allowed
    limited = namespace(logits).asarray(logits, copy=True)
    for row, ids in enumerate(wanted):
        if ids is not None:
            limited[row] = only(logits[row], ids)
            allowed[row] = float(arrays.logsumexp(limited[row]) - arrays.logsumexp(logits[row]))
    return limited, allowed


def read(ids: Sequence[int], logits: Array, count: int) -> list[Read]:
    """Tokens of a prompt, each with what the row of logits (ids, vocab) before it gave to it."""
    logprobs, top = logprobs_of(logits, ids, count)
    return [Read(*each) for each in zip(ids, logprobs, top, strict=True)]


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
