"""Scoring a text: cut into tokens with what stands before it, run in windows, told by token."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token
from gptcli.errors import InputError, UsageError
from gptcli.text.continuation import split_continuation
from gptcli.types.events import Notice
from gptcli.types.score import Score, ScoreRequest, TokenScore
from gptcli.types.token import Token

if TYPE_CHECKING:
    from gptcli.engine.asking.scoring import Window


def answer(model: OpenModel, request: ScoreRequest) -> Score:
    """How probable each token of the text was.

    Raises InputError where there is nothing to score, UsageError for a stride that is not less
    than the context, NonFiniteError.
    """
    from gptcli.engine.asking import scoring

    planned = plan(model, request)
    known: dict[int, Token] = {}

    def token(token_id: int) -> Token:
        if token_id not in known:
            known[token_id] = model.token(token_id)
        return known[token_id]

    # Only a text's very first token, with nothing at all before it, cannot be scored.
    found = [] if planned.before else [TokenScore(token(planned.ids[0]))]
    found += [
        TokenScore(token(each.id), each.logprob, each.rank, token(each.best), each.best_logprob)
        for each in scoring.score(model.runner, planned.ids, planned.windows)
    ]
    return Score(
        source=model.source,
        tokens=tuple(found),
        context_tokens=planned.before,
        windows=len(planned.windows),
        context_size=planned.size,
        stride=planned.stride,
        notices=planned.notices,
    )


@dataclass(frozen=True)
class Plan:
    """How a text is run: its ids, so many of which come before it, and its windows.

    size, stride: of the windows, in tokens.
    """

    ids: list[int]
    before: int
    windows: list[Window]
    size: int
    stride: int
    notices: tuple[Notice, ...]


def plan(model: OpenModel, request: ScoreRequest) -> Plan:
    """Cut a text into tokens and windows. Raises the errors of Backend.score."""
    from gptcli.engine.asking.scoring import windows

    size = model.runner.limit
    before, ids = _cut(model, request)
    whole, bos = before + ids, model.tokenizer.prefix
    begins = len(bos) if whole[: len(bos)] == bos else 0
    stride = _stride(request, size, begins)
    found = windows(len(whole), max(len(before), 1), size, stride, begins=begins)
    return Plan(whole, len(before), found, size, stride, _notices(model, request, ids))


def _stride(request: ScoreRequest, size: int, begins: int) -> int:
    """How far a window moves on: what begins each window takes its part of the context."""
    most = size - max(begins, 1)
    if most < 1:
        reason = f"{size} leaves a token nothing before it, from which it could be predicted"
        raise UsageError("--ctx-size", reason)
    stride = min(size // 2, most) if request.stride is None else request.stride
    if not 1 <= stride <= most:
        reason = f"must be from 1 to {most}, less than the context, not {stride}"
        raise UsageError("--stride", reason)
    return stride


def _cut(model: OpenModel, request: ScoreRequest) -> tuple[list[int], list[int]]:
    """What stands before the text, and the text, in ids."""
    if not request.text:
        raise InputError(request.subject, "is empty")
    before, ids = split_continuation(
        model.tokenizer, request.context, request.text, special=request.special
    )
    model.check_ids([*before, *ids], request.subject)
    bos = model.tokenizer.prefix
    whole = before + ids
    if bos and whole[: len(bos)] != bos:
        before = [*bos, *before]
    elif bos and not before:
        # The text brings its own beginning, which is not its to be scored.
        before, ids = ids[: len(bos)], ids[len(bos) :]
    if len(before) + len(ids) < 2 or not ids:
        raise InputError(
            request.subject,
            "is one token with nothing before it, so there is nothing to score"
            if ids
            else "has no token to score",
            "--context says what stands before it",
        )
    return before, ids


def _notices(model: OpenModel, request: ScoreRequest, ids: list[int]) -> tuple[Notice, ...]:
    found: list[Notice] = []
    text = request.context[len(request.context.rstrip()) :] + request.text
    scored = sum(len(model.tokenizer.bytes_of(token)) for token in ids)
    # What is scored beyond the text, and the spaces that go over to it by rule, is the context's.
    moved = scored - len(text.encode())
    if request.context and moved > 0:
        last = "byte is" if moved == 1 else f"{moved} bytes are"
        what = f"joins the text within a token; its last {last} scored with it"
        found.append(Notice("--context", what))
    if not request.special:
        plain = plain_control_token(model.tokenizer, request.context + request.text)
        found += [replace(notice, subject=request.subject) for notice in plain]
    return tuple(found)
