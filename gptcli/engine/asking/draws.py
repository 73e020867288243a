"""What is drawn for the rows of a batch, each as it would be alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import field
from typing import TYPE_CHECKING

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.constraining.masking import masked
from gptcli.engine.asking.drawing import Chances, next_ids
from gptcli.engine.asking.history import History
from gptcli.engine.asking.raw_logprobs import Alternative, among_all, logprobs_of
from gptcli.engine.asking.taking_back import Ban, Held, Pending, uncertain
from gptcli.errors import InputError, NonFiniteError
from gptcli.plain import dataclass
from gptcli.types.completion import Among
from gptcli.types.sampling import Sampling

# Only who constrains a text loads what does.
if TYPE_CHECKING:
    from gptcli.engine.asking.constraining.grammar import Grammar
    from gptcli.engine.asking.constraining.guard import Guard, Mask


@dataclass(frozen=True)
class Drawn:
    """The token that one sample drew. `ends`: it is an end token, and the sample is over.

    logprob, top and among are there only where they were asked for. allowed: the log-probability,
    in the same raw distribution, of all tokens that could be drawn: 0 where none was forbidden.
    decided: whether the grammar forbade the most probable token, None where it had no say. whole:
    the text is what the grammar wants, and nothing can follow.
    """

    sample: int
    id: int
    ends: bool
    logprob: float | None = None
    top: tuple[Alternative, ...] = ()
    allowed: float = 0.0
    decided: bool | None = None
    whole: bool = False
    among: Among | None = None


#: The ids that may follow the tokens that a sample has drawn so far; None where all may.
Fitting = Callable[[Sequence[int]], Collection[int] | None]
#: The id that comes next whatever the logits say, of a sample that has drawn these; None for none.
Forced = Callable[[int, Sequence[int]], int | None]


@dataclass(frozen=True, eq=False)
class Draws:
    """How texts are drawn.

    Sample i draws with a generator of its own, seeded with seed + i. logprobs: None for none, else
    how many alternatives to give beside each drawn token; prompt_logprobs: the same of each token
    of the prompt; among: with either, where the token stood among all. What `fitting` and `grammar`
    forbid is taken away before the sampler's stages; log-probabilities stay those of the raw
    distribution. `forced` is asked before each token, in
    their order. drafts: how many tokens are looked up in the text and run at once, where it is
    alone, see `ahead`; None for as many as pay. ban: what must not come, see `taking_back`.
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
    forced: Forced | None = None
    ban: Ban | None = None
    among: bool = False

    @property
    def alike(self) -> object:
        """Equal where texts of several questions may be drawn at once: none of them is asked, and
        what fails changes nothing. None where they may not.
        """
        if self.fitting or self.grammar or self.forced or self.ban or self.sampling.xtc:
            return None
        return self.sampling, self.end_ids, self.logprobs, self.among


@dataclass(eq=False)
class Text:
    """A sample as it grows: what stands before the next token, and where its chance comes from.

    guard: what may come next, None where everything may.
    """

    draws: Draws
    sample: int
    history: History
    generator: Chances = field(repr=False)
    guard: Guard | None = None
    pending: Pending[Drawn] = field(default_factory=Pending, repr=False)

    @property
    def mask(self) -> Mask | None:
        """Which tokens the guard lets come next, (vocab,); None for all of them."""
        return None if self.guard is None else self.guard.mask


def begun(draws: Draws, sample: int, prompt: Sequence[int], generator: Chances) -> Text:
    """A sample of which nothing is drawn yet."""
    guard = None if draws.grammar is None else draws.grammar.begin()
    return Text(draws, sample, History(list(prompt)), generator, guard)


def draw_rows(texts: Sequence[Text], logits: Array) -> list[list[Drawn]]:
    """A token for each text, all drawn alike, from its row of the logits (texts, vocab).

    It is noted in the text's history. What is certain of each text now comes back: the token, but
    where a ban may take it back none yet, or several. Raises as `sampling.stages` and `Guard` do;
    of the former nothing is noted then.
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
    limited = _without(texts, _limited(draws.fitting, logits, histories))
    masks = [text.mask for text in texts]
    limited = masked(limited, masks)
    generators = [text.generator for text in texts]
    ids = next_ids(limited, draws.sampling, histories, generators)
    if draws.forced is not None:
        due = [draws.forced(text.sample, text.history.generated) for text in texts]
        ids = [one if token is None else token for one, token in zip(ids, due, strict=True)]
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
    among = among_all(logits, ids) if draws.among else [None] * len(ids)
    rows = zip(samples, ids, ends, drawn, top, allowed, decided, whole, among, strict=True)
    return [Drawn(*each) for each in rows]


def _settled(text: Text, drawn: Drawn, logits: Array, ban: Ban) -> list[Drawn]:
    """What is certain, once nothing stands there that must not; see `taking_back`."""
    generated, pending = text.history.generated, text.pending
    ran = len(generated) - 1
    pending.held.append(Held(drawn, namespace(logits).asarray(logits, copy=True)))
    while (place := None if drawn.ends else ban.begins(generated)) is not None:
        again = _taken_back(text, place)
        while again is not None and not _any_left(text, again):
            # Nothing fits here any more, so what led here does not either.
            again = _taken_back(text, len(generated) - 1)
        if again is None:
            if text.guard is not None:
                raise InputError("--ban", "leaves nothing that the constraint lets come next")
            raise NonFiniteError("--ban", "leaves no token that could be drawn")
        (drawn,) = _drawn([text], again)
        pending.held.append(Held(drawn, again))
    pending.went_back = len(generated) <= ran
    over = drawn.ends or drawn.whole or len(generated) >= text.draws.max_new_tokens
    return pending.release(len(generated), 0 if over else uncertain(ban, generated))


def _taken_back(text: Text, place: int) -> Array | None:
    """See Pending.take_back; the guard follows."""
    logits = text.pending.take_back(text.history.generated, place)
    if text.draws.grammar is not None:
        text.guard = text.draws.grammar.begin()
        for token in text.history.generated:
            text.guard.take(token)
    return logits


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
    limited = _limited(text.draws.fitting, logits, [text.history])
    return bool((masked(_without([text], limited), [text.mask]) > -math.inf).any())


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


def only(logits: Array, ids: Collection[int]) -> Array:
    """Logits (vocab,) with -inf for all but some ids."""
    index = arrays.indices(list(ids), logits)
    limited = namespace(logits).full_like(logits, -math.inf)
    limited[index] = logits[index]
    return limited
