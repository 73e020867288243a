"""A conversation, and what can be asked of a model that takes part in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import field
from typing import Any, Literal

from gptcli.plain import dataclass
from gptcli.types.completion import Event
from gptcli.types.constraints import Constraint
from gptcli.types.events import Notice
from gptcli.types.next_tokens import Distribution
from gptcli.types.question import Question
from gptcli.types.sampling import SamplingWish
from gptcli.types.token import Source, Token

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")
#: What may happen where the context is full, by `ChatRequest.drop_oldest`.
OVERFLOWS = ("error", "drop-oldest")
#: What variables of templates are called.
_NAME = re.compile(r"[A-Za-z_]\w{0,63}")
#: How hard a model may be told to think.
EFFORTS = ("low", "medium", "high")


@dataclass(frozen=True)
class Message:
    """What one side said. A system message, which sets the scene, can only be the first.

    marks: [start, end) of what in an answer's content the model wrote as one added token (as
    `</think>` is to many), in order. In a template's document these are that token again; the same
    letters elsewhere, whoever wrote them, are none. thinking: what the assistant thought before it
    said this. A template gets it where it asks for it, and no other form does.
    """

    role: Role
    content: str
    marks: tuple[tuple[int, int], ...] = ()
    thinking: str = ""


@dataclass(frozen=True)
class TranscriptForm:
    r"""How a conversation is written down as plain text, for a model that only continues text.

    Each of the three forms holds `{content}` once, and `{user}` or `{assistant}` for the names;
    the last message of the assistant is left open before its `{content}`.
    """

    system: str = "{content}\n\n"
    user: str = "{user}: {content}\n"
    assistant: str = "{assistant}: {content}\n"
    user_name: str = "User"
    assistant_name: str = "Assistant"


@dataclass(frozen=True)
class ChatForm:
    """Which disguise a conversation wears.

    template: a name among the model's own chat templates, or the path of a file with one.
    transcript: plain text instead of any template. With neither it is the model's own template,
    else a transcript of the default form.

    What a template is told beside the messages, by the names that it reads itself: think, whether
    to think before an answer; effort, how much, one of EFFORTS; variables, pairs of a name and a
    value, in JSON or a text as it stands. None where nothing is said.
    """

    template: str | None = None
    transcript: TranscriptForm | None = None
    think: bool | None = None
    effort: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The variables by their names, each as JSON has it, or a text."""
        return {name: _value(text) for name, text in self.variables}

    @property
    def told(self) -> tuple[str, ...]:
        """The flags of what a template is told."""
        found = [] if self.think is None else ["--think" if self.think else "--no-think"]
        found += [] if self.effort is None else ["--effort"]
        return (*found, *(["--template-set"] if self.variables else []))


def variable(text: str) -> tuple[str, str]:
    """A variable of a template and its value, of KEY=VALUE. Raises ValueError."""
    name, equals, value = text.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise ValueError(f"must be KEY=VALUE, not {text!r:.60}")
    return name, value


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


@dataclass(frozen=True)
class ChatRequest(Question[Iterator[Event]]):
    """An answer to be made to the messages, of which the last is the user's.

    max_new_tokens: None means until the model ends its turn or the context is full.
    stop: texts that end the answer beside those of the form.
    drop_oldest: where the context is full, leave out the oldest turns (never the system's)
    instead of raising ContextError. think_budget: how many tokens may be thought before the answer
    is made to begin, None for any number. apart: thoughts are told apart from the answer; else they
    stand in it, marks and all, but for control tokens. constraint: what the answer has to be, None
    for any text.
    """

    asks = "take part in a conversation"

    messages: tuple[Message, ...]
    form: ChatForm = field(default_factory=ChatForm)
    sampling: SamplingWish = field(default_factory=SamplingWish)
    max_new_tokens: int | None = 256
    stop: tuple[str, ...] = ()
    seed: int = 0
    logprobs: int | None = None
    drop_oldest: bool = False
    think_budget: int | None = None
    apart: bool = True
    constraint: Constraint | None = None


@dataclass(frozen=True)
class DocumentTurn:
    """A stretch of the document: one message with all that is put around it.

    role: None where a stretch belongs to no single message. ending: the token that stands right
    after the content, ending_at how many of `tokens` are before it, and ending_probability what
    the model gives to it there; None where the turn is open, or where the content is not found in
    it. In the open turn at the document's end, ending_probability is that of saying nothing: of
    all end tokens together.
    """

    role: Role | None
    text: str
    tokens: tuple[Token, ...]
    ending: Token | None = None
    ending_at: int | None = None
    ending_probability: float | None = None


@dataclass(frozen=True)
class ChatDocument:
    """The exact document that a model would continue, in order, and `form` in a few words."""

    turns: tuple[DocumentTurn, ...]
    form: str
    source: Source
    notices: tuple[Notice, ...] = ()

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(turn.text for turn in self.turns)


@dataclass(frozen=True)
class ChatDocumentRequest(Question[ChatDocument]):
    """The exact document that an answer to `chat` would continue."""

    asks = "show the document of a conversation"

    chat: ChatRequest


@dataclass(frozen=True)
class ChatNextTokensRequest(Question[Distribution]):
    """What may come where the conversation ends: after the last answer, or for its begin."""

    asks = "tell what may come at the end of a conversation"

    chat: ChatRequest
    rows: int
