"""Ranking given continuations of a prompt: each is scored after it, as one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.backends.remote.scoring import border, check, invented, scored, total
from gptcli.backends.remote.tokens import control_names
from gptcli.backends.shares import calibrated_choices, shares
from gptcli.errors import InputError
from gptcli.types.choose import Choice, Choices, ChooseRequest, ScoredToken
from gptcli.types.score import TokenScore


def answer(model: RemoteModel, request: ChooseRequest) -> Choices:
    """Which of several continuations is the most probable.

    Raises InputError for a prompt too short to begin from and a choice without a token.
    """
    check(model, request)
    after = rows_after(model, request.prompt, request.choices, "prompt")
    totals = [total(row) for row in after.rows]
    found = [
        Choice(index, text, _tokens(row), value, share, invented=after.invented[index])
        for index, (text, row, value, share) in enumerate(
            zip(request.choices, after.rows, totals, shares(totals), strict=True)
        )
    ]
    if request.calibrate is not None:
        space = request.prompt[len(request.prompt.rstrip()) :]
        texts = [space + choice.text for choice in found]
        without = rows_after(model, request.calibrate.rstrip(), texts, "--calibrate")
        found = calibrated_choices(found, [total(row) for row in without.rows])
    ranked = sorted(found, key=lambda choice: -choice.score(request.by))
    text = "" if request.special else "\n".join((request.prompt, *request.choices))
    notices = control_names(model, text, "prompt")
    return Choices(request, tuple(ranked), after.before, model.source, notices)


@dataclass(frozen=True)
class After:
    """The scored tokens of each continuation, all from the same place: after `before` tokens."""

    rows: list[tuple[TokenScore, ...]]
    before: int
    invented: list[int]


def rows_after(model: RemoteModel, prompt: str, texts: Sequence[str], subject: str) -> After:
    """Continuations of a prompt, scored. As a choice may join the prompt's last token, the border
    moves back for all of them: what they have in common changes no comparison.
    """
    wholes = scored(model, [prompt + text for text in texts])
    place = min(border(model, prompt, whole) for whole in wholes)
    rows = [whole.tokens[place:] for whole in wholes]
    for text, row in zip(texts, rows, strict=True):
        if not row:
            raise InputError(f"choice {text!r}", "adds no token to the prompt")
        if row[0].logprob is None:
            hint = "give more text, at least a word"
            raise InputError(subject, "has no whole token before the choices", hint)
    beyond = [
        invented(whole, prompt + text, place) for whole, text in zip(wholes, texts, strict=True)
    ]
    return After(rows, wholes[0].put + place, beyond)


def _tokens(row: Sequence[TokenScore]) -> tuple[ScoredToken, ...]:
    return tuple(ScoredToken(each.token, each.logprob or 0.0) for each in row)
