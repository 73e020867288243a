"""How a question gets to a server: as it is, in another form, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gptcli.errors import GptcliError
from gptcli.types.question import Question

if TYPE_CHECKING:
    from gptcli.types.chat import ChatForm

#: Answered by an iterator.
STREAMS = (
    *("Request", "ChatRequest", "ExplainRequest", "PartsOffRequest", "FewShotQueries"),
    *("WhyRequest", "AblateRequest", "AblatedCompletionRequest", "PatchRequest"),
)
#: Answered at once.
_WHOLE = (
    *("NextTokensRequest", "ScoreRequest", "ChooseRequest", "TreeRequest", "TokensRequest"),
    *("DecodeRequest", "ChatDocumentRequest", "ChatNextTokensRequest", "FewShotDocumentRequest"),
    *("ShapesRequest", "NeighborsRequest", "AttentionRequest", "LensRequest", "AskRequest"),
    *("EmbeddingRequest", "SteeringReadRequest", "PartedRequest"),
)
#: Queries, and characters of them, that are read before the first is answered. Where there are
#: more, or some have yet to be waited for, they are answered here, as they come.
_QUERIES, _CHARACTERS = 10_000, 8 << 20


@dataclass(frozen=True)
class Crossing:
    """there: the question as a server is asked it, None where it is not; here: as it was.

    error: what is raised once all is answered there.
    """

    there: Question[Any] | None
    here: Question[Any]
    error: GptcliError | None = None


def crossing(question: Question[Any]) -> Crossing:
    """How a question crosses. One of an iterator must be asked by what this gives from then on.

    None to a server: a walk, which is a conversation; comparing dtypes, which opens other models;
    measuring, which is about this process; activations and what is made of them, which would cross
    as so many numbers; and what names a file, which is this process's to read.
    """
    name = type(question).__name__
    if _names_file(question, name):
        return Crossing(None, question)
    if name == "FewShotQueries":
        return _queries(question)
    if name == "ScoreRowsRequest":
        return Crossing(_rows(question), question)
    return Crossing(question if name in STREAMS or name in _WHOLE else None, question)


def whole(question: Question[Any], parts: Iterator[Any]) -> Any:
    """The answer to a question that is none of STREAMS, of what comes from the server."""
    if type(question).__name__ == "ScoreEventsRequest":
        from gptcli.types.score import ScoreRows, told

        return ScoreRows(rows=parts, **told(next(parts)))
    found = next(parts)
    for _ in parts:
        # An error may follow.
        pass
    return found


def _names_file(question: Any, name: str) -> bool:
    form: ChatForm | None = None
    if name == "ChatRequest":
        form = question.form
    elif name in ("ChatDocumentRequest", "ChatNextTokensRequest"):
        form = question.chat.form
    elif name in ("FewShotQueries", "FewShotDocumentRequest"):
        form = question.request.form.chat
    return form is not None and form.template is not None


def _rows(question: Any) -> Question[Any]:
    from gptcli.types.score import ScoreEventsRequest

    return ScoreEventsRequest(question.text)


def _queries(question: Any) -> Crossing:
    came: list[Any] = []
    queries, characters = iter(question.queries), 0
    try:
        for query in queries:
            came.append(query)
            characters += 0 if query is None else len(query.text)
            if query is None or len(came) > _QUERIES or characters > _CHARACTERS:
                return Crossing(None, replace(question, queries=_again(came, queries)))
    except GptcliError as error:
        here = replace(question, queries=_again(came, (), error))
        return Crossing(replace(question, queries=tuple(came)), here, error)
    found = replace(question, queries=tuple(came))
    return Crossing(found, found)


def _again(
    came: Iterable[Any], rest: Iterable[Any], error: GptcliError | None = None
) -> Iterator[Any]:
    yield from came
    if error is not None:
        raise error
    yield from rest
