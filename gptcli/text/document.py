"""The document that a conversation becomes, and what makes one: a chat template or a transcript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gptcli.conversation import Message, Role


@dataclass(frozen=True)
class Stretch:
    """Part of a document: text[start:end] is ids[first:last]; the parts are the whole, in order.

    role: whose turn it is, None where several messages could not be told apart. closing: where in
    `ids` the first token after the message's content stands, None where there is none or where
    the content cannot be found as it was given.
    """

    role: Role | None
    start: int
    end: int
    first: int
    last: int
    closing: int | None = None


@dataclass(frozen=True)
class Document:
    """Text and ids of a conversation, as the model is to see it, nothing more before or after."""

    text: str
    ids: tuple[int, ...]
    stretches: tuple[Stretch, ...]


class DocumentForm(Protocol):
    """A way to write conversations down."""

    @property
    def description(self) -> str:
        """In a few words: "the model's chat template"."""
        ...

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end the assistant's turn, beside the model's end tokens."""
        ...

    @property
    def end_names(self) -> tuple[str, ...]:
        """Control tokens that end the assistant's turn, where the form knows them by name."""
        ...

    def document(self, messages: Sequence[Message], *, answer: bool = True) -> Document:
        """The conversation as a document; with `answer`, the assistant's next turn is begun.

        Raises InputError for messages that the form cannot take, ModelError for a bad template.
        """
        ...
