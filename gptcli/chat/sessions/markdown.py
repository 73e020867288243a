"""A conversation as Markdown, to be read and kept elsewhere, and back."""

from __future__ import annotations

import re
from pathlib import Path

from gptcli.chat.sessions.form import Session, checked_messages
from gptcli.errors import InputError

#: Names of files that hold it.
MARKDOWN = (".md", ".markdown")
_MEANT = re.compile(r"[\\`*_\[\]<>&#~|$]")
_HEAD = re.compile(r"# (.*)\n\nModel: (.*)  \nBegun: (.*)  \nLast changed: (.*)(?=\n)")
_BEGIN = re.compile(r"\n\n## (System|User|Thinking|Assistant)\n\n(`{3,})text\n")
_OTHER = "is not Markdown as /save and sessions export write it"


def is_markdown(path: Path) -> bool:
    """Whether a file's name says that it holds it."""
    return path.suffix.lower() in MARKDOWN


def as_markdown(session: Session) -> str:
    """Each message under a heading of its role, its exact content in a fenced block; what was
    thought before it stands before it.

    In a fence nothing of a content is Markdown or HTML, so none can forge a heading, a role or a
    script, and all of it can be had back. A fence is longer than every run of backticks within it
    (CommonMark 0.31.2, 4.5): only as long a one could end it.
    """
    parts = [
        f"# {_plain(session.name)}",
        f"Model: {_plain(session.model)}  \n"
        f"Begun: {_plain(session.created)}  \n"
        f"Last changed: {_plain(session.updated)}",
    ]
    for message in session.messages:
        if message.thinking:
            parts += ["## Thinking", _fenced(message.thinking)]
        parts += [f"## {message.role.capitalize()}", _fenced(message.content)]
    return "\n\n".join(parts) + "\n"


def from_markdown(text: str, subject: str) -> Session:
    """The conversation in what `as_markdown` wrote, which has no settings.

    Raises InputError for any other text, naming `subject`.
    """
    head = _HEAD.match(text)
    if head is None:
        raise InputError(subject, _OTHER)
    messages: list[dict[str, str]] = []
    at, thought = head.end(), dict[str, str]()
    while text[at:] != "\n":
        begin = _BEGIN.match(text, at)
        end = -1 if begin is None else text.find(f"\n{begin[2]}\n", begin.end())
        if begin is None or end < 0:
            raise InputError(subject, _OTHER)
        said = text[begin.end() : end]
        if begin[1] == "Thinking":
            thought = {"reasoning_content": said}
        else:
            messages.append({"role": begin[1].lower(), "content": said} | thought)
            thought = {}
        # Up to the end of the fence's line, which the next message or the file's end begins with.
        at = end + 1 + len(begin[2])
    name, model, created, updated = (re.sub(r"\\(.)", r"\1", each) for each in head.groups())
    return Session(name, model, created, updated, checked_messages(messages, subject))


def _fenced(content: str) -> str:
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}text\n{content}\n{fence}"


def _plain(text: str) -> str:
    """The text as itself within a line of Markdown: what could mean something is escaped."""
    return _MEANT.sub(r"\\\g<0>", " ".join(text.split()))
