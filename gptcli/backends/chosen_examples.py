"""Which of the examples stand before a query, and in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence

from gptcli.text.similarity import Similarity
from gptcli.types.chat import Message
from gptcli.types.few_shot import Example, FewShotRequest


class ChosenExamples:
    """Those of a request: the same for every query, unless they are to be like it."""

    def __init__(self, request: FewShotRequest) -> None:
        self._request = request
        self._similarity = Similarity([example.input for example in request.examples])
        examples = list(request.examples)
        if request.order == "random":
            random.Random(request.order_seed).shuffle(examples)
        self._chosen = tuple(examples[: request.shots])

    def before(self, query: str) -> tuple[Example, ...]:
        """The examples for a query, the last of them next to it."""
        if self._request.order != "similar":
            return self._chosen
        examples = self._request.examples
        most = len(examples) if self._request.shots is None else self._request.shots
        return tuple(examples[place] for place in self._similarity.pick(query, most))


def as_messages(instruction: str | None, examples: Sequence[Example], query: str) -> list[Message]:
    """Turns of a conversation: the instruction is the system's, inputs and outputs the others'."""
    messages = [Message("system", instruction)] if instruction else []
    for example in examples:
        messages += [Message("user", example.input), Message("assistant", example.output)]
    return [*messages, Message("user", query)]
