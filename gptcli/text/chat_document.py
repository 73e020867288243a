"""The document that a conversation becomes, and what makes one: a chat template or a transcript."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gptcli.plain import dataclass
from gptcli.text.thinking_forms import ThinkingForm
from gptcli.types.chat import ChatForm, Message, Role


@dataclass(frozen=True)
class Turn:
    """A stretch of a document's text, [start, end): one message with all that is put around it.

    role: None where several messages could not be told apart. content_end: where the message's
    content ends, None where it is not there as it was given, or where the turn is still open.
    """

    role: Role | None
    start: int
    end: int
    content_end: int | None = None


@dataclass(frozen=True)
class Document:
    """Text and ids of a conversation, as the model is to see it, nothing more before or after.

    spans: [start, end) of each token in the text, in characters; a token that is not in the text
    (a BOS before it) has an empty one. written: what a template itself wrote at the end, behind
    all that was said.
    """

    text: str
    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    written: str = ""

    def tokens_before(self, place: int) -> int | None:
        """How many tokens stand before a place in the text; None where one goes across it."""
        count = sum(1 for start, _ in self.spans if start < place)
        return None if count and self.spans[count - 1][1] > place else count


def document_of(text: str, cut: Sequence[tuple[int, int, int]], before: Sequence[int]) -> Document:
    """A document from (id, start, end) of its tokens, and ids that stand before its text."""
    return Document(
        text,
        (*before, *(token for token, _, _ in cut)),
        (*((0, 0) for _ in before), *((start, end) for _, start, end in cut)),
    )


def turn_of(messages: Sequence[Message], text: str, start: int, end: int) -> Turn:
    """A stretch that holds these messages, the last of which it ends with."""
    roles = {message.role for message in messages}
    content = messages[-1].content.strip()
    at = text.rfind(content, start, end) if content else -1
    role = messages[-1].role if len(roles) == 1 else None
    return Turn(role, start, end, at + len(content) if at >= 0 else None)


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

    @property
    def thinking(self) -> ThinkingForm | None:
        """How thoughts are told from answers, None where a model is not known to think in it."""
        ...

    def document(self, messages: Sequence[Message], *, answer: bool = True) -> Document:
        """The conversation as a document; with `answer`, the assistant's next turn is begun.

        Raises InputError for messages that the form cannot take, ModelError for a bad template.
        """
        ...

    def turns(self, messages: Sequence[Message], *, answer: bool = True) -> tuple[Turn, ...]:
        """The turns of that document, in order, all of it together."""
        ...

    def telling(self, form: ChatForm, budget: int | None) -> DocumentForm:
        """The same, told what `form` says beside the messages, and how many tokens may be thought.

        Raises UsageError for what it cannot be told, ModelError for a bad template.
        """
        ...
