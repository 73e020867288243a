"""Scoring a text: cut into tokens with what stands before it, run in windows, told by token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from gptcli.backends.joining import joining
from gptcli.backends.local.drawing import PAUSE, Beside, Pause
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token
from gptcli.errors import InputError, UsageError
from gptcli.plain import dataclass
from gptcli.text.continuation import split_continuation
from gptcli.text.cut import own_bytes
from gptcli.types.events import Notice
from gptcli.types.score import (
    Score,
    ScoredText,
    ScoreEventsRequest,
    ScoreRequest,
    ScoreRows,
    ScoreRowsRequest,
    Surplus,
    TokenScore,
    characters_of,
    told,
)

if TYPE_CHECKING:
    from gptcli.engine.arrays import Array
    from gptcli.engine.asking.scoring import Scored, Window


def answer(model: OpenModel, request: ScoreRequest) -> Score:
    """How probable each token of the text was. Raises as `rows` does, and NonFiniteError."""
    return rows(model, ScoreRowsRequest(request)).whole()


def rows(model: OpenModel, request: ScoreRowsRequest) -> ScoreRows:
    """The same, token by token as they are scored.

    Raises InputError where there is nothing to score, UsageError for a stride that is not less
    than the context; NonFiniteError at a token at which it shows.
    """
    planned = plan(model, request.text)
    return ScoreRows(rows=_rows(model, planned), **told(_text(model, planned)))


def events(model: OpenModel, request: ScoreEventsRequest) -> Iterator[ScoredText | TokenScore]:
    """The same, how the text is run first. Raises as `rows` does, before the first."""
    found = rows(model, ScoreRowsRequest(request.text))
    yield ScoredText(**told(found))
    yield from found.rows


def beside(model: OpenModel, request: ScoreRequest, beside: Beside) -> Iterator[Score | Pause]:
    """What `answer` gives, run beside others."""
    found: list[TokenScore] = []
    text: ScoredText | None = None
    for each in events_beside(model, ScoreEventsRequest(request), beside):
        if isinstance(each, TokenScore):
            found.append(each)
        elif isinstance(each, ScoredText):
            text = each
        else:
            yield each
    assert text is not None
    yield Score(tokens=tuple(found), **told(text))


def events_beside(
    model: OpenModel, request: ScoreEventsRequest, beside: Beside
) -> Iterator[ScoredText | TokenScore | Pause]:
    """What `events` gives, run beside others: a window after the other."""
    from gptcli.engine.asking.scoring import score_rows

    planned, named = plan(model, request.text), _Named(model)
    yield _text(model, planned)
    yield from named.first(planned)
    for window in planned.windows:
        ids, first = window.run(planned.ids)
        scored = planned.ids[window.first : window.end]

        def tell(at: int, logits: Array, first: int = first, scored: list[int] = scored) -> Any:
            some = score_rows(logits, scored[at - first :][: len(logits)])
            return list(map(named.of, some))

        for found in beside.look(ids, first, tell):
            yield from found or (PAUSE,)


def _text(model: OpenModel, planned: Plan) -> ScoredText:
    return ScoredText(
        source=model.source,
        context_tokens=planned.before,
        windows=len(planned.windows),
        context_size=planned.size,
        stride=planned.stride,
        notices=planned.notices,
        surplus=planned.surplus,
    )


def _rows(model: OpenModel, planned: Plan) -> Iterator[TokenScore]:
    from gptcli.engine.asking import scoring

    named = _Named(model)
    yield from named.first(planned)
    yield from map(named.of, scoring.score(model.runner, planned.ids, planned.windows))


class _Named:
    """Scores with the tokens that they are of; each token is looked up once."""

    def __init__(self, model: OpenModel) -> None:
        self._token = cache(model.token)

    def first(self, planned: Plan) -> Iterator[TokenScore]:
        """A text's very first token, which cannot be scored with nothing at all before it."""
        if not planned.before:
            yield TokenScore(self._token(planned.ids[0]))

    def of(self, each: Scored) -> TokenScore:
        """A token's score."""
        best = self._token(each.best)
        return TokenScore(self._token(each.id), each.logprob, each.rank, best, each.best_logprob)


@dataclass(frozen=True)
class Plan:
    """How a text is run: its ids, so many of which come before it, and its windows.

    size, stride: of the windows, in tokens. surplus: as Score has it.
    """

    ids: list[int]
    before: int
    windows: list[Window]
    size: int
    stride: int
    notices: tuple[Notice, ...]
    surplus: Surplus


def plan(model: OpenModel, request: ScoreRequest) -> Plan:
    """Cut a text into tokens and windows. Raises the errors of Backend.score."""
    from gptcli.engine.asking.scoring import windows

    size = model.runner.limit
    before, ids, put = _cut(model, request)
    whole, bos = before + ids, model.tokenizer.prefix
    begins = len(bos) if whole[: len(bos)] == bos else 0
    stride = _stride(request, size, begins)
    found = windows(len(whole), max(len(before), 1), size, stride, begins=begins)
    text = request.context + request.text
    begin = max(len(before), 1)
    own = own_bytes(model.tokenizer, text, whole[put:], begin - put, special=request.special)
    notices = _notices(model, request, len(own))
    tokens = model.tokenizer.joined(whole[begin:])
    surplus = Surplus(len(tokens) - len(own), characters_of(tokens) - characters_of(own))
    return Plan(whole, len(before), found, size, stride, notices, surplus)


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


def _cut(model: OpenModel, request: ScoreRequest) -> tuple[list[int], list[int], int]:
    """What stands before the text, and the text, in ids; how many of the first were put there."""
    if not request.text:
        raise InputError(request.subject, "is empty")
    before, ids = split_continuation(
        model.tokenizer, request.context, request.text, special=request.special
    )
    model.check_ids([*before, *ids], request.subject)
    bos = model.tokenizer.prefix
    whole, put = before + ids, 0
    if bos and whole[: len(bos)] != bos:
        before, put = [*bos, *before], len(bos)
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
    return before, ids, put


def _notices(model: OpenModel, request: ScoreRequest, scored: int) -> tuple[Notice, ...]:
    """scored: bytes of what is scored of context and text."""
    found: list[Notice] = []
    text = request.context[len(request.context.rstrip()) :] + request.text
    # What is scored beyond the text, and the spaces that go over to it by rule, is the context's.
    moved = scored - len(text.encode())
    found += joining(request.context, moved)
    if not request.special:
        plain = plain_control_token(model.tokenizer, request.context + request.text)
        found += [replace(notice, subject=request.subject) for notice in plain]
    return tuple(found)
