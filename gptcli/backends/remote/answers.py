"""Which file answers which question of a server's model."""

from __future__ import annotations

from importlib import import_module
from typing import TypeVar

from gptcli.backends.base import refuse
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.types.question import Question

A = TypeVar("A")

_ROOM = __name__.rpartition(".")[0]
#: By its class's name, the file here and the function in it.
ANSWERS: dict[str, tuple[str, str]] = {
    "Request": ("completion", "answer"),
    "ChatRequest": ("completion", "chat"),
    "NextTokensRequest": ("next_tokens", "answer"),
    "ScoreRequest": ("score", "answer"),
    "ScoreRowsRequest": ("score", "rows"),
    "ChooseRequest": ("choose", "answer"),
    "AskRequest": ("ask", "answer"),
    "TreeRequest": ("tree", "answer"),
    "TokensRequest": ("tokens", "answer"),
    "DecodeRequest": ("tokens", "decoded"),
    "FewShotQueries": ("few_shot", "answer"),
    "EmbeddingRequest": ("embedding", "answer"),
    "BatchRequest": ("batch", "answer"),
}
_WRITES = "since the server writes conversations down by itself, and does not tell how"
#: Why not, and what there is instead, where that is not that a server cannot look inside.
_WHY: dict[str, tuple[str, str | None]] = {
    "ChatDocumentRequest": (_WRITES, None),
    "ChatNextTokensRequest": (_WRITES, "gptcli next asks it after a text"),
}


def answered(model: RemoteModel, question: Question[A]) -> A:
    """See Backend.answer."""
    asked = type(question).__name__
    if asked not in ANSWERS:
        why, hint = _WHY.get(asked, ("as that takes the model itself, not a server", None))
        refuse(model.place.url, question, why, hint)
    file, name = ANSWERS[asked]
    found: A = getattr(import_module(f"{_ROOM}.{file}"), name)(model, question)
    return found
