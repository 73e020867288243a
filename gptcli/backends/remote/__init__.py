"""Models of servers that speak OpenAI's language, asked through OpenAI's own client.

`remote_model` holds what is asked; each other file answers one kind of question with it. A new
question is a file here and a line in `answers`. What a server lacks is refused by name.
"""

from __future__ import annotations

from typing import Any, TypeVar

from gptcli.backends.place import Place, place_of
from gptcli.backends.remote.answers import ANSWERS, answered
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.types.models import Offered
from gptcli.types.question import Question

__all__ = ["Place", "RemoteBackend", "offered", "place_of"]

A = TypeVar("A")


class RemoteBackend:
    """A model of a server. Nothing is sent before a question is asked."""

    def __init__(self, place: Place) -> None:
        self._model = RemoteModel(place)

    def answer(self, question: Question[A]) -> A:
        """See Backend.answer."""
        return answered(self._model, question)

    def supports(self, kind: type[Question[Any]]) -> bool:
        """See Backend.supports."""
        return kind.__name__ in ANSWERS

    def close(self) -> None:
        """See Backend.close."""
        self._model.close()


def offered(place: Place) -> tuple[Offered, ...]:
    """What a server lists."""
    model = RemoteModel(place)
    try:
        return model.models
    finally:
        model.close()
