"""What is drawn for the rows of a batch, each as it would be alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import field
from random import Random

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.constraining.grammar import Grammar
from gptcli.engine.asking.constraining.guard import Guard, Mask
from gptcli.engine.asking.constraining.masking import masked
from gptcli.engine.asking.drawing import next_ids
from gptcli.engine.asking.history import History
from gptcli.engine.asking.sampling import likeliest
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
    same raw distribution, of all tokens that could be drawn: 0 where none was forbidden. decided:
    whether the grammar forbade the most probable token, None where it had no say. whole: the text
    is what the grammar wants, and nothing can follow.
    """

    sample: int
    id: int
    ends: bool
    logprob: float | None = None
    top: tuple[Alternative, ...] = ()
    allowed: float = 0.0
    decided: bool | None = None
    whole: bool = False


@dataclass(frozen=True)
class Read:
    """A token of a prompt, and how much the model expected it after those before it.

    The first has nothing before it, and no log-probability.
    """

    id: int
    logprob: float | None
    top: tuple[Alternative, ...] = ()


#: The ids that may follow the tokens that a sample has drawn so far; None where all may.
Fitting = Callable[[Sequence[int]], Collection[int] | None]


@dataclass(frozen=True, eq=False)
class Draws:
    """How texts are drawn.

    Sample i draws with a generator of its own, seeded with seed + i. logprobs: None for none, else
    how many alternatives to give beside each drawn token; prompt_logprobs: the same of each token
    of the prompt. What `fitting` and `grammar` forbid is taken away before the sampler's
    stages; log-probabilities stay those of the raw distribution. drafts: how many tokens are looked
    up in the text and run at once, where it is alone, see `ahead`; None for as many as pay.
    """

    sampling: Sampling
    max_new_tokens: int
    end_ids: frozenset[int] = frozenset()
    seed: int = 0
    logprobs: int | None = None
    fitting: Fitting | None = None
    grammar: Grammar | None = None
    prompt_logprobs: int | None = None
    drafts: int | None = 0


@dataclass(eq=False)
class Text:
    """A sample as it grows: what stands before the next token, and where its chance comes from.

    guard: what may come next, None where everything may.
    """

    draws: Draws
    sample: int
    history: History
    generator: Random = field(repr=False)
    guard: Guard | None = None


def begun(draws: Draws, sample: int, prompt: Sequence[int], generator: Random) -> Text:
    """A sample of which nothing is drawn yet."""
    guard = None if draws.grammar is None else draws.grammar.begin()
    return Text(draws, sample, History(list(prompt)), generator, guard)


def draw_rows(texts: Sequence[Text], logits: Array) -> list[Drawn]:
    """A token for each text, all drawn alike, from its row of the logits (texts, vocab).

    It is noted in the text's history. Raises as `sampling.stages` and `Guard` do; of the former
    nothing is noted then.
    """
    draws = texts[0].draws
    histories = [text.history for text in texts]
    limited = _limited(draws.fitting, logits, histories)
    masks = [None if text.guard is None else text.guard.mask for text in texts]
    limited = masked(limited, masks)
    generators = [text.generator for text in texts]
    ids = next_ids(limited, draws.sampling, histories, generators)
    for history, token in zip(histories, ids, strict=True):
        history.generated.append(token)
    samples = [text.sample for text in texts]
    ends = [token in draws.end_ids for token in ids]
    whole = [_taken(*each) for each in zip(texts, ids, ends, strict=True)]
    decided = _decided(logits, masks)
    if draws.logprobs is None:
        return [
            Drawn(sample, token, end, decided=by_grammar, whole=is_whole)
            for sample, token, end, by_grammar, is_whole in zip(
                samples, ids, ends, decided, whole, strict=True
            )
        ]
    drawn, top = logprobs_of(logits, ids, draws.logprobs)
    allowed = _allowed(limited, logits)
    rows = zip(samples, ids, ends, drawn, top, allowed, decided, whole, strict=True)
    return [Drawn(*each) for each in rows]


def _limited(fitting: Fitting | None, logits: Array, histories: Sequence[History]) -> Array:
    """Logits with -inf where a token does not fit; the same array where all do."""
    if fitting is None:
        return logits
    wanted = [fitting(history.generated) for history in histories]
    if not any(ids is not None for ids in wanted):
        return logits
    limited = namespace(logits).asarray(logits, copy=True)
    for row, ids in enumerate(wanted):
        if ids is not None:
            limited[row] = only(logits[row], ids)
    return limited


def _allowed(limited: Array, logits: Array) -> list[float]:
    """What is left of each row's probability, its logarithm."""
    if limited is logits:
        return [0.0] * len(logits)
    left: list[float] = (arrays.logsumexp(limited) - arrays.logsumexp(logits)).tolist()
    return left


def _decided(logits: Array, masks: Sequence[Mask | None]) -> list[bool | None]:
    """Of each row whether the most probable token is masked, None where nothing is."""
    if all(mask is None for mask in masks):
        return [None] * len(masks)
    best = namespace(logits).argmax(logits, axis=-1).tolist()
    pairs = zip(masks, best, strict=True)
    return [None if mask is None else not mask[token] for mask, token in pairs]


def _taken(text: Text, token: int, ends: bool) -> bool:
    """Note the token where a guard follows the text; whether nothing can follow it."""
    if text.guard is None or ends:
        return False
    text.guard.take(token)
    return text.guard.over


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
