"""A conversation under way: its messages, its settings, and the model that answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace

from gptcli.backends import Backend
from gptcli.chat.keeping import Keeping
from gptcli.chat.kept_settings import restored
from gptcli.chat.sessions import Session
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.chat import (
    ChatDocument,
    ChatDocumentRequest,
    ChatNextTokensRequest,
    ChatRequest,
    Message,
)
from gptcli.types.completion import Chunk, Event, Usage
from gptcli.types.next_tokens import Distribution

_SHORT = (Message("user", "Hello"),)


@dataclass(frozen=True)
class Turn:
    """A message and what was answered; number: of the conversation's messages, from 1.

    finish_reason: as of Chunk, None where the answer was stopped; usage, too.
    """

    request: ChatRequest
    message: str
    number: int
    answer: str
    thinking: str
    seed: int
    finish_reason: str | None
    usage: Usage | None


class Talk:
    """Messages and settings that change from turn to turn.

    `request` holds the settings, and the messages so far; `keeping` keeps it whenever the messages
    have changed, where a session is open. said: the settings that the command line and the
    environment named, which outweigh those of a session. turned: is told of each turn.
    """

    def __init__(
        self,
        backend: Callable[[], Backend],
        request: ChatRequest,
        *,
        model: str,
        keeping: Keeping | None = None,
        said: Collection[str] = (),
        turned: Callable[[Turn], None] | None = None,
    ) -> None:
        self._open, self._turned = backend, turned
        self.keeping = keeping or Keeping(model)
        self.said = said
        self.model = model
        self.request = request
        #: The messages that are kept somewhere as they are, in the session or in a file.
        self._safe = request.messages
        self.last_usage: Usage | None = None
        #: Whether the last answer ended at the limit of its tokens.
        self.was_cut = False
        #: Nobody else's: by it turns are known to belong together.
        self.id = os.urandom(4).hex()
        #: How many answers were asked for: each is drawn with a seed of its own.
        self.answers = 0

    @property
    def messages(self) -> tuple[Message, ...]:
        """Everything that was said, the system's message first."""
        return self.request.messages

    @property
    def unsaved(self) -> bool:
        """Whether something was said that would be lost with this conversation."""
        said = any(message.role != "system" for message in self.messages)
        return said and self.messages != self._safe

    @property
    def system(self) -> str | None:
        """The system prompt."""
        return next((m.content for m in self.messages if m.role == "system"), None)

    def replace_messages(self, messages: Iterable[Message], *, keep: bool = True) -> None:
        """Say something else happened; it is kept."""
        self.request = replace(self.request, messages=tuple(messages))
        if keep:
            self.keep()

    def keep(self) -> None:
        """Keep all as it stands, where a session is open."""
        if self.keeping.keep(self.request, self.answers):
            self.saved()

    def switch(self, backend: Callable[[], Backend], model: str) -> Backend:
        """Have another model answer from here on; the backend of the one before.

        Raises the errors of opening it, and UsageError where its form cannot be told what the
        conversation's is told; then nothing has changed.
        """
        before = self._open, self.model
        backend()
        self._open, self.model = backend, model
        try:
            self.check_form()
        except BaseException:
            self._open, self.model = before
            backend().close()
            raise
        return before[0]()

    def go_on(self, session: Session) -> None:
        """Take the messages and settings of a session for our own. Raises InputError."""
        self.request = restored(self.request, session, self.said)
        self.answers = 0
        self.saved()

    def as_session(self, name: str) -> Session:
        """The conversation as it stands, under a name."""
        return self.keeping.session(name, self.request, self.answers)

    def saved(self) -> None:
        """Note that the messages are kept somewhere as they are."""
        self._safe = self.messages

    def set_system(self, text: str | None) -> None:
        """Replace the system prompt, None for none."""
        self.replace_messages(with_system(self.messages, text))

    def undo(self, *, keep: bool = True) -> str:
        """Take back the last message of the user and what came after it; that message.

        keep: False where another takes its place, until which what is on the disk stays there.
        Raises UsageError where there is none.
        """
        for place in range(len(self.messages) - 1, -1, -1):
            if self.messages[place].role == "user":
                text = self.messages[place].content
                self.replace_messages(self.messages[:place], keep=keep)
                return text
        raise UsageError("conversation", "has no message that could be taken back")

    def ask(self, text: str) -> Iterator[Event]:
        """Say something; the answer as it comes. Once it is over, or stopped, both are kept.

        Where nothing was answered, because of an error or because it was stopped before a word,
        the message is not kept either.
        """
        asked = (*self.messages, Message("user", text))
        seed = (self.request.seed + self.answers) % 2**32
        self.answers += 1
        parts: list[str] = []
        thoughts: list[str] = []
        marks: list[tuple[int, int]] = []
        # Of this turn or none: not the one before it.
        self.last_usage, self.was_cut = None, False
        whole, reason = False, None
        try:
            for event in self._open().answer(replace(self.request, messages=asked, seed=seed)):
                if isinstance(event, Chunk):
                    parts.append(event.text)
                    thoughts.append(event.thinking)
                    marks += event.marks
                    reason = event.finish_reason
                    self.was_cut = reason == "length"
                elif isinstance(event, Usage):
                    self.last_usage = event
                yield event
            whole = True
            # Where all of it was thought, that was told.
            self.was_cut = self.was_cut and not (any(thoughts) and not "".join(parts).strip())
        finally:
            answer = "".join(parts)
            if whole or answer:
                # A stop string, or whoever stopped it, may have left some of them out.
                kept = tuple(each for each in marks if each[1] <= len(answer))
                thinking = "".join(thoughts)
                self.replace_messages([*asked, Message("assistant", answer, kept, thinking)])
                if self._turned is not None:
                    number = sum(each.role == "user" for each in asked)
                    said = (self.request, text, number, answer, thinking, seed)
                    self._turned(Turn(*said, reason, self.last_usage))

    def document(self) -> ChatDocument:
        """The document as it stands. Raises UsageError where nothing was said yet."""
        self._check_begun()
        return self._open().answer(ChatDocumentRequest(self.request))

    def document_with(self, text: str) -> ChatDocument:
        """The document in which a message would be answered."""
        asked = (*self.messages, Message("user", text))
        return self._open().answer(ChatDocumentRequest(replace(self.request, messages=asked)))

    def top(self, rows: int) -> Distribution:
        """What may come at the conversation's end. Raises UsageError where there is none yet."""
        self._check_begun()
        return self._open().answer(ChatNextTokensRequest(self.request, rows))

    def check_form(self) -> None:
        """Raise UsageError where the form cannot be told what it is to be told."""
        backend = self._open()
        if backend.supports(ChatDocumentRequest):
            backend.answer(ChatDocumentRequest(replace(self.request, messages=_SHORT)))

    def _check_begun(self) -> None:
        if all(message.role == "system" for message in self.messages):
            raise UsageError("conversation", "nothing was said yet")


def with_system(messages: Iterable[Message], text: str | None) -> tuple[Message, ...]:
    """The messages with another system prompt, None or empty for none."""
    others = (message for message in messages if message.role != "system")
    return (Message("system", text), *others) if text else tuple(others)


class Timed:
    """Opens a backend when it is first asked for, and knows how long that took, in seconds."""

    def __init__(self, open_: Callable[[], Backend]) -> None:
        self._make = open_
        self._backend: Backend | None = None
        self.seconds = 0.0

    def __call__(self) -> Backend:
        """The backend. Raises the errors of opening it."""
        if self._backend is None:
            begun = time.perf_counter()
            self._backend = self._make()
            self.seconds = time.perf_counter() - begun
        return self._backend
