"""What is the value? An answer of a type, and how probable it is."""

from __future__ import annotations

from typing import Literal

from gptcli.plain import dataclass
from gptcli.types.few_shot import LabelShare
from gptcli.types.question import Question
from gptcli.types.token import Source

Kind = Literal["bool", "int", "float", "choice", "date"]


@dataclass(frozen=True)
class ValueType:
    """A type of values; choices: of "choice", which are two at least."""

    kind: Kind
    choices: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The texts that an answer can be, where they can be counted; else none."""
        return ("yes", "no") if self.kind == "bool" else self.choices

    @property
    def instruction(self) -> str:
        """What a model is told that talks."""
        wanted = {
            "bool": "yes or no",
            "int": "a whole number in digits",
            "float": "a number in digits",
            "date": "a date in the form YYYY-MM-DD",
            "choice": f"one of: {', '.join(self.choices)}",
        }
        return f"Answer with {wanted[self.kind]}, and with nothing else."


@dataclass(frozen=True)
class AskRequest(Question["Value"]):
    """A value, the most probable one of a type, as an answer to a question.

    system: the system prompt of a model that has a chat form, None for what the type says; a model
    without one continues the question, and is told nothing. rated: the probability is needed.
    """

    asks = "answer with a value"

    question: str
    type: ValueType
    system: str | None = None
    rated: bool = False


@dataclass(frozen=True)
class Value:
    """An answer, `text` as the model wrote it.

    probability: where the answers can be counted, the share of this one among them, of which
    `shares` tells all; else that of its tokens, one after the other, among those that some value of
    the type could go on or end with, None where a server does not tell.
    """

    request: AskRequest
    text: str
    probability: float | None
    shares: tuple[LabelShare, ...]
    prompt_tokens: int
    source: Source

    @property
    def value(self) -> bool | int | float | str:
        """What it means, as JSON has it."""
        kind = self.request.type.kind
        if kind == "bool":
            return self.text == "yes"
        number = int if kind == "int" else float
        return number(self.text) if kind in ("int", "float") else self.text

    @property
    def printed(self) -> str:
        """The value as a script reads it."""
        return str(self.value).lower() if isinstance(self.value, bool) else self.text
