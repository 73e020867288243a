"""Ranking given continuations of a prompt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gptcli.backends.local.cut_after import Cut, cut_after, notices_of
from gptcli.backends.local.drawing import PAUSE, Beside, Pause
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.shares import calibrated_choices, shares
from gptcli.types.choose import Choice, Choices, ChooseRequest, ScoredToken


def answer(model: OpenModel, request: ChooseRequest) -> Choices:
    """Which of several continuations is the most probable.

    Raises InputError for a choice without a token and for a prompt too short to begin from,
    ContextError where prompt and choice do not fit, NonFiniteError.
    """
    asking = _Asking(model, request)
    return asking.answer([_logprobs(model, cut) for cut in asking.cuts])


def beside(model: OpenModel, request: ChooseRequest, beside: Beside) -> Iterator[Choices | Pause]:
    """The same, run beside others."""
    asking = _Asking(model, request)
    logprobs: list[list[list[float]]] = []
    for cut in asking.cuts:
        rows: list[list[float]] = [[] for _ in cut.rows]
        for found in beside.after(cut.prompt, cut.rows):
            for index, logprob in found:
                rows[index].append(logprob)
            if not found:
                yield PAUSE
        logprobs.append(rows)
    yield asking.answer(logprobs)


class _Asking:
    """A question cut into tokens: after its prompt, and after the text that calibrates."""

    def __init__(self, model: OpenModel, request: ChooseRequest) -> None:
        self._model, self._request = model, request
        self.cuts = [_cut(model, request, request.prompt, request.choices, "prompt")]
        if request.calibrate is not None:
            space = request.prompt[len(request.prompt.rstrip()) :]
            texts = [space + text for text in request.choices]
            self.cuts.append(_cut(model, request, request.calibrate.rstrip(), texts, "--calibrate"))

    def answer(self, logprobs: Sequence[Sequence[Sequence[float]]]) -> Choices:
        """The choices, given the log-probabilities of the tokens of each row of each cut."""
        model, request, cut = self._model, self._request, self.cuts[0]
        totals, *calibrating = [list(map(math.fsum, each)) for each in logprobs]
        rows = enumerate(
            zip(request.choices, cut.rows, logprobs[0], totals, shares(totals), strict=True)
        )
        found = [
            Choice(
                index, text, _tokens(model, ids, values), total, share, invented=cut.invented[index]
            )
            for index, (text, ids, values, total, share) in rows
        ]
        for each in calibrating:
            found = calibrated_choices(found, each)
        # sorted keeps the order of equals.
        ranked = sorted(found, key=lambda choice: -choice.score(request.by))
        notices = tuple(
            notices_of(model, request.prompt, request.choices, cut, special=request.special)
        )
        return Choices(request, tuple(ranked), len(cut.prompt), model.source, notices)


def _cut(
    model: OpenModel, request: ChooseRequest, prompt: str, texts: Sequence[str], subject: str
) -> Cut:
    names = [f"choice {text!r}" for text in texts]
    return cut_after(model, prompt, texts, names, special=request.special, subject=subject)


def _logprobs(model: OpenModel, cut: Cut) -> list[list[float]]:
    from gptcli.engine.asking.continuations import logprobs_after
    from gptcli.engine.asking.prefix import PrefixCache

    prefix = PrefixCache(model.runner, comes_back=False)
    return logprobs_after(prefix, [cut.prompt], [cut.rows])[0]


def _tokens(
    model: OpenModel, ids: Sequence[int], logprobs: Sequence[float]
) -> tuple[ScoredToken, ...]:
    pairs = zip(ids, logprobs, strict=True)
    return tuple(ScoredToken(model.token(token), logprob) for token, logprob in pairs)
