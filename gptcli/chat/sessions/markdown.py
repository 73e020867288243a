"""A conversation as Markdown, to be read and kept elsewhere."""

from __future__ import annotations

import re

from gptcli.chat.sessions.form import Session

_MEANT = re.compile(r"[\\`*_\[\]<>&#~|$]")


def as_markdown(session: Session) -> str:
    """Each message under a heading of its role, its exact content in a fenced block.

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
        parts += [f"## {message.role.capitalize()}", _fenced(message.content)]
    return "\n\n".join(parts) + "\n"


def _fenced(content: str) -> str:
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}text\n{content}\n{fence}"


def _plain(text: str) -> str:
    """The text as itself within a line of Markdown: what could mean something is escaped."""
    return _MEANT.sub(r"\\\g<0>", " ".join(text.split()))
