"""What comes next: one look, or a walk of looks and choices that rides on the KV cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gptcli.backends.local import prompt_notices
from gptcli.backends.local.constraining import Constrained
from gptcli.backends.local.drawing import PAUSE, Beside, Pause
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import InputError, UsageError
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.events import Notice
from gptcli.types.next_tokens import (
    AtStage,
    Candidate,
    Distribution,
    NextTokensRequest,
    Spread,
    Walk,
    WalkRequest,
    Whole,
)

if TYPE_CHECKING:
    from gptcli.engine.arrays import Array
    from gptcli.engine.asking.constraining.guard import Mask
    from gptcli.engine.asking.distribution import Staged
    from gptcli.engine.asking.prefix import PrefixCache
    from gptcli.engine.probe import Probe


def answer(model: OpenModel, request: NextTokensRequest) -> Distribution:
    """What comes after the prompt: the distribution, before and after the sampler."""
    return LocalWalk(model, request).look()


def beside(
    model: OpenModel, request: NextTokensRequest, beside: Beside
) -> Iterator[Distribution | Pause]:
    """What `answer` gives, run beside others."""
    walk = LocalWalk(model, request)

    def tell(_: int, logits: Array) -> list[Distribution]:
        walk.see(logits[0])
        return [walk.look()]

    ids = walk.prompt
    for found in beside.look(ids, len(ids) - 1, tell):
        yield from found or (PAUSE,)


def walk(model: OpenModel, request: WalkRequest) -> Walk:
    """The same, to go on from."""
    return LocalWalk(model, request.first, seed=request.seed)


class LocalWalk:
    """See types.next_tokens.Walk. Each look at a new place costs one forward.

    ids: the prompt in tokens, where that is more than a text; the request's prompt is empty then.
    prefix: the KV cache of prompts before, whose beginnings need not be computed again.
    `probe`, where it is set, sees the passes that follow.
    """

    def __init__(
        self,
        model: OpenModel,
        request: NextTokensRequest,
        *,
        seed: int = 0,
        ids: Sequence[int] | None = None,
        prefix: PrefixCache | None = None,
    ) -> None:
        """Raises UsageError for more rows than there are tokens, and the errors of `encode`."""
        from gptcli.engine.asking.drawing import generators
        from gptcli.engine.asking.history import History
        from gptcli.engine.asking.prefix import PrefixCache

        vocabulary = model.runner.spec.vocab
        if request.rows > vocabulary:
            reason = f"must be at most {vocabulary}, the number of tokens, not {request.rows}"
            raise UsageError("--rows", reason)
        self._model = model
        self._request = request
        self._sampling = model.sampling(request.sampling)
        self._end_ids = model.defaults.end_ids
        if ids is None:
            ids = model.encode(request.prompt, special=request.special, subject=request.subject)
        self._history = History(ids)
        self._generators = generators(seed, 1)
        self._prefix = prefix or PrefixCache(model.runner, comes_back=False)
        self._notices = (*model.defaults.notices(), *_notices(model.tokenizer, request))
        self._stages: list[Staged] | None = None
        grammar = Constrained(model, request.constraint, self._end_ids).grammar
        self._guard = None if grammar is None else grammar.begin()
        self.probe: Probe | None = None

    @property
    def prompt(self) -> Sequence[int]:
        """The prompt in tokens."""
        return self._history.prompt

    @property
    def room(self) -> int:
        """How many tokens the context still has room for."""
        used = len(self._history.prompt) + len(self._history.generated)
        return self._model.runner.limit - used

    @property
    def taken(self) -> bytes:
        """The bytes of all tokens that were taken."""
        return b"".join(map(self._model.tokenizer.bytes_of, self._history.generated))

    def look(self) -> Distribution:
        """What may come here."""
        from gptcli.engine import arrays
        from gptcli.engine.asking import distribution as engine

        stages = self._here()
        raw, final = stages[0], stages[-1]
        order = arrays.ranked(final.logits) if self._request.by_drawn else self._order
        temperatures = [
            (value, engine.at_temperature(raw.logits, value))
            for value in self._request.temperatures
        ]
        best = order[: self._request.rows].tolist()
        columns = [arrays.softmax(rows) for _, rows in temperatures]
        return Distribution(
            source=self._model.source,
            prompt=self._request.prompt,
            prompt_tokens=len(self._history.prompt),
            vocabulary=len(order),
            sampling=self._sampling.told,
            stages=tuple(stage.name for stage in stages),
            candidates=tuple(self._candidates(best, columns)),
            raw=_spread(raw.logits),
            drawn=_spread(final.logits),
            temperatures=tuple((value, _spread(rows)) for value, rows in temperatures),
            whole=self._whole(raw.logits) if self._request.whole else None,
            notices=self._notices,
            forbidden=self._forbidden(),
        )

    def draw(self) -> Candidate:
        """A token, drawn as `complete` with the same settings and seed would; not yet taken."""
        from gptcli.engine.asking.constraining.masking import masked
        from gptcli.engine.asking.drawing import next_ids

        allowed = masked(self._here()[0].logits[None], [self._mask])
        (token,) = next_ids(allowed, self._sampling, [self._history], self._generators)
        return self._candidates([token])[0]

    def take(self, token: int | None) -> None:
        """Append a token. Raises ValueError where there is no room, or no id, and InputError for
        one that the constraint forbids here.
        """
        if self.room <= 0 or token is None:
            raise ValueError("the context is full" if token is not None else "no token")
        self._here()
        mask, constraint = self._mask, self._request.constraint
        if mask is not None and constraint is not None and not mask[token]:
            raise InputError(constraint.flag, constraint.forbidden(self._model.token(token).text))
        if self._guard is not None and token not in self._end_ids:
            self._guard.take(token)
        self._history.generated.append(token)
        self._stages = None

    def _here(self) -> list[Staged]:
        """The stages at this place; the forward is run where it was not yet."""
        if self._stages is None:
            history = self._history
            if history.generated:
                last = history.generated[-1]
                logits = self._prefix.decode(last, probe=self.probe)
            else:
                logits = self._prefix.prefill(history.prompt, probe=self.probe)
            return self.see(logits[0])
        return self._stages

    def see(self, logits: Array) -> list[Staged]:
        """The stages of logits (vocab,), which are those of this place. Raises as `staged` does."""
        from gptcli.engine.arrays import namespace, ranked
        from gptcli.engine.asking.distribution import staged

        self._stages = staged(logits, self._sampling, self._history, self._mask)
        self._order = ranked(logits)
        self._ranks = namespace(logits).empty_like(self._order)
        self._ranks[self._order] = namespace(logits).arange(
            len(self._order), dtype=self._order.dtype, device=self._order.device
        )
        return self._stages

    @property
    def _mask(self) -> Mask | None:
        """What the constraint allows here, None where that is everything."""
        return None if self._guard is None else self._guard.mask

    def _forbidden(self) -> float | None:
        """How much probability the constraint takes away here."""
        mask = self._mask
        if mask is None:
            return None
        from gptcli.engine.arrays import host, softmax

        # In float64: what is left may be very little.
        return float(softmax(host(self._here()[0].logits).astype("float64"))[~mask].sum())

    def _candidates(self, ids: list[int], columns: Sequence[Array] = ()) -> list[Candidate]:
        """What there is to tell about some tokens, each number gathered for all of them at once."""
        from gptcli.engine.arrays import log_softmax
        from gptcli.engine.asking.distribution import cuts

        stages = self._here()
        logits = [stage.logits[ids].tolist() for stage in stages]
        chances = [stage.probabilities[ids].tolist() for stage in stages]
        logprobs = log_softmax(stages[0].logits)[ids].tolist()
        ranks = self._ranks[ids].tolist()
        warmths = [column[ids].tolist() for column in columns]
        return [
            Candidate(
                rank=ranks[i] + 1,
                token=self._model.token(token),
                logit=logits[0][i],
                logprob=logprobs[i],
                probability=chances[0][i],
                drawn=chances[-1][i],
                cut_by=cut,
                stages=tuple(
                    AtStage(at[i], chance[i]) for at, chance in zip(logits, chances, strict=True)
                ),
                at_temperatures=tuple(warmth[i] for warmth in warmths),
                ends=token in self._end_ids,
            )
            for i, (token, cut) in enumerate(zip(ids, cuts(stages, ids), strict=True))
        ]

    def _whole(self, logits: Array) -> Whole:
        from gptcli.engine.arrays import log_softmax

        return Whole(tuple(log_softmax(logits).tolist()), self._model.vocabulary)


def _notices(tokenizer: Tokenizer, request: NextTokensRequest) -> Iterator[Notice]:
    yield from prompt_notices.stray_space(tokenizer, request.prompt, "try without it")
    if not request.special:
        yield from prompt_notices.plain_control_token(tokenizer, request.prompt)


def _spread(logits: Array) -> Spread:
    from gptcli.engine.arrays import softmax
    from gptcli.engine.asking.raw_logprobs import entropy_bits

    return Spread(entropy_bits(logits), int((softmax(logits) > 0).sum()))
