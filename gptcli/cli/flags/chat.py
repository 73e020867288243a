"""A conversation: who says what, in which form, and where it is kept."""

from __future__ import annotations

from pathlib import Path

from gptcli.config import option
from gptcli.plain import dataclass
from gptcli.types.chat import OVERFLOWS

_FORM = "Form"


@dataclass(frozen=True)
class Chat:
    """What is said before the first message, what is kept, and what happens when it grows."""

    system: str | None = option(
        None,
        "The system prompt. Default: the one of the model's template, if it has one.",
        *("-s", "--system"),
        metavar="TEXT",
        brief="The system prompt.",
    )
    system_file: Path | None = option(
        None, "Read the system prompt from a file; - is stdin.", metavar="FILE", stdin=True
    )
    session: str | None = option(
        None,
        "Go on with the conversation of this name, and keep it after every turn: its messages, and"
        " with what it is held: the model, its adapters, how is drawn, where answers end, the form."
        " A flag and the environment outweigh what it keeps.",
        metavar="NAME",
        brief="Go on with this conversation, and keep it.",
        completer="session",
    )
    latest: bool = option(
        False,
        "Go on with the conversation that was kept last, as --session does with its name.",
        "--continue",
    )
    on_overflow: str = option(
        "error",
        "Where the context is full: error, or drop-oldest, which leaves out the oldest turns (never"
        " the system prompt) and says so. Default: error.",
        metavar="WHAT",
        choices=OVERFLOWS,
    )


@dataclass(frozen=True)
class ChatWriting:
    """How a conversation is written as one document."""

    chat_template: str | None = option(
        None,
        "Another of the model's chat templates, or a Jinja file. Default: its own.",
        metavar="NAME|FILE",
        panel=_FORM,
    )
    transcript: Path | None = option(
        None,
        'A transcript instead of a template; TOML such as user = "{user}: {content}\\n".',
        metavar="FILE",
        panel=_FORM,
        stdin=True,
    )
    user_name: str | None = option(
        None,
        "A transcript, as for models without a template, in which you have this name. Default:"
        " User.",
        metavar="NAME",
        panel=_FORM,
    )
    assistant_name: str | None = option(
        None, "The same for the model. Default: Assistant.", metavar="NAME", panel=_FORM
    )
