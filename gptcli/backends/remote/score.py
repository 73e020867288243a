"""Scoring a text: its tokens after those of its context, in one piece."""

from __future__ import annotations

from gptcli.backends.joining import joining
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.backends.remote.scoring import border, check, invented, scored
from gptcli.backends.remote.tokens import control_names
from gptcli.errors import InputError
from gptcli.types.events import Notice
from gptcli.types.score import Score, ScoreRequest, ScoreRows, ScoreRowsRequest, Surplus


def rows(model: RemoteModel, request: ScoreRowsRequest) -> ScoreRows:
    """The same as `answer`, as rows; they come at once."""
    found = answer(model, request.text)
    told = {name: getattr(found, name) for name in ("source", "context_tokens", "windows")}
    told |= {name: getattr(found, name) for name in ("context_size", "stride", "notices")}
    return ScoreRows(rows=iter(found.tokens), surplus=found.surplus, **told)


def answer(model: RemoteModel, request: ScoreRequest) -> Score:
    """How probable each token of the text was. Raises ContextError for a text that is too long."""
    check(model, request)
    if request.stride is not None:
        raise model.refuse("--stride", "takes a text in one piece")
    if not request.text:
        raise InputError(request.subject, "is empty")
    text = request.context + request.text
    (whole,) = scored(model, [text])
    begin = border(model, request.context, whole)
    tokens = whole.tokens[begin:]
    before = whole.put + begin
    if not tokens or (not before and len(tokens) < 2):
        reason = "is one token with nothing before it, so there is nothing to score"
        raise InputError(request.subject, reason, "--context says what stands before it")
    beyond = invented(whole, text, max(begin, 1 - whole.put))
    size = next((m.context for m in model.models if model.place.model in m.names), None)
    return Score(
        source=model.source,
        context_tokens=before,
        windows=1,
        context_size=size,
        stride=size,
        notices=_notices(model, request, len(b"".join(t.token.bytes for t in tokens)) - beyond),
        surplus=Surplus(beyond, beyond),
        tokens=tokens,
    )


def _notices(model: RemoteModel, request: ScoreRequest, count: int) -> tuple[Notice, ...]:
    """count: bytes of what is scored of context and text."""
    own = request.context[len(request.context.rstrip()) :] + request.text
    joined = joining(request.context, count - len(own.encode()))
    if request.special:
        return joined
    return (*joined, *control_names(model, request.context + request.text, request.subject))
