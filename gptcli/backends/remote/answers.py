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
    "TreeRequest": ("tree", "answer"),
    "TokensRequest": ("tokens", "answer"),
    "DecodeRequest": ("tokens", "decoded"),
    "FewShotQueries": ("few_shot", "answer"),
    "BatchRequest": ("batch", "answer"),
}


def answered(model: RemoteModel, question: Question[A]) -> A:
    """See Backend.answer."""
    if type(question).__name__ not in ANSWERS:
        refuse(model.place.url, question, "as that takes the model itself, not a server")
    file, name = ANSWERS[type(question).__name__]
    found: A = getattr(import_module(f"{_ROOM}.{file}"), name)(model, question)
    return found
