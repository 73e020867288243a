"""Ranking given continuations of a prompt."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gptcli.backends.local.drawing import PAUSE, Beside, Pause
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token
from gptcli.backends.shares import calibrated_choices, shares
from gptcli.errors import InputError
from gptcli.plain import dataclass
from gptcli.text.continuation import split_continuation
from gptcli.text.cut import own_bytes
from gptcli.types.choose import Choice, Choices, ChooseRequest, ScoredToken
from gptcli.types.events import Notice


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
        notices = tuple(_notices(model, request, cut))
        return Choices(request, tuple(ranked), len(cut.prompt), model.source, notices)


@dataclass(frozen=True)
class _Cut:
    """The tokens that all choices stand after, and those of each choice.

    moved: the bytes of the prompt that went over to the choices, less its last white space.
    invented: bytes of each choice's tokens that nobody wrote.
    """

    prompt: list[int]
    rows: list[list[int]]
    moved: int
    invented: list[int]


def _cut(
    model: OpenModel, request: ChooseRequest, prompt: str, texts: Sequence[str], subject: str
) -> _Cut:
    """Prompt and choices as tokens, each pair cut as one text.

    Where a choice joins the prompt's last token, the border moves back for all choices, so that
    all are compared from the same place: what they have in common changes no comparison.
    """
    split = [
        split_continuation(model.tokenizer, prompt, text, special=request.special) for text in texts
    ]
    border = min(len(before) for before, _ in split)
    before = split[0][0][:border]
    rows = [[*ids[border:], *after] for ids, after in split]
    for text, (_, after), row in zip(texts, split, rows, strict=True):
        if not (text and after):
            raise InputError(f"choice {text!r}", "adds no token to the prompt")
        model.check_ids(row, f"choice {text!r}")
    model.check_ids(before, subject)
    prefix = model.tokenizer.prefix
    ids = before if before[: len(prefix)] == prefix else [*prefix, *before]
    if not ids:
        raise InputError(
            subject, "has no whole token before the choices", "give more text, at least a word"
        )
    for text, row in zip(texts, rows, strict=True):
        model.check_length(len(ids) + len(row), f"{subject} with choice {text!r}")
    whole = model.tokenizer.encode(prompt.rstrip(), special=request.special)
    special = request.special
    moved = len(own_bytes(model.tokenizer, prompt.rstrip(), whole, border, special=special))
    invented = [
        sum(map(len, map(model.tokenizer.bytes_of, row)))
        - len(own_bytes(model.tokenizer, prompt + text, [*before, *row], border, special=special))
        for text, row in zip(texts, rows, strict=True)
    ]
    return _Cut(ids, rows, moved, invented)


def _logprobs(model: OpenModel, cut: _Cut) -> list[list[float]]:
    from gptcli.engine.asking.continuations import logprobs_after
    from gptcli.engine.asking.prefix import PrefixCache

    prefix = PrefixCache(model.runner, comes_back=False)
    return logprobs_after(prefix, [cut.prompt], [cut.rows])[0]


def _tokens(
    model: OpenModel, ids: Sequence[int], logprobs: Sequence[float]
) -> tuple[ScoredToken, ...]:
    pairs = zip(ids, logprobs, strict=True)
    return tuple(ScoredToken(model.token(token), logprob) for token, logprob in pairs)


def _notices(model: OpenModel, request: ChooseRequest, cut: _Cut) -> Iterator[Notice]:
    if not request.special:
        for text in (request.prompt, *request.choices):
            yield from plain_control_token(model.tokenizer, text)
    if cut.moved:
        last = "byte counts" if cut.moved == 1 else f"{cut.moved} bytes count"
        text = f"joins the choices within a token; its last {last} with each"
        yield Notice("prompt", text)
    elif request.prompt[-1:].isalnum() and any(text[:1].isalnum() for text in request.choices):
        yield Notice("choices", "follow the prompt without a space; begin them with one, or end it")
