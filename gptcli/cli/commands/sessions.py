"""`gptcli sessions`: the conversations that are kept, and getting them out."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gptcli.chat import sessions
from gptcli.chat.sessions import Session
from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but, only
from gptcli.cli.flags.output import Output
from gptcli.cli.help.screens import explain_group
from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.ui.views import sessions as view

EXAMPLES = (
    ("Which conversations there are.", "gptcli sessions list"),
    ("What was said.", "gptcli sessions show travel"),
    ("A page to read or to publish.", "gptcli sessions export travel -o travel.md"),
    ("For a program.", "gptcli sessions export travel | jq -r '.messages[-1].content'"),
    ("Forget two of them.", "gptcli sessions rm travel dinner"),
)


@dataclass(frozen=True)
class Named:
    """A session."""

    name: str = option(
        ...,
        "As given to chat --session.",
        metavar="NAME",
        argument=True,
        completer="session",
    )


@dataclass(frozen=True)
class AllNamed:
    """Some sessions."""

    names: tuple[str, ...] = option(
        ...,
        "As given to chat --session.",
        metavar="NAME",
        argument=True,
        completer="session",
    )


@dataclass(frozen=True)
class Exporting:
    """In which form, and where to."""

    kind: str | None = option(
        None,
        "json, which /load of a chat reads again, or markdown. Default: markdown for a FILE that"
        " ends in .md, else json.",
        "--format",
        metavar="FORMAT",
        brief="json or markdown.",
        choices=("json", "markdown"),
    )
    output: Path | None = option(
        None,
        "Write to a file, not to stdout.",
        *("-o", "--output"),
        metavar="FILE",
        brief="Write to a file, not to stdout.",
    )


def group(context: typer.Context) -> None:
    """List, show, export and remove kept conversations.

    `gptcli chat --session NAME` keeps one, in gptcli's data directory (GPTCLI_DATA_DIR moves it).
    """
    explain_group(context)


def list_sessions(
    environment: Environment,
    output: Annotated[
        Output, but(quiet=None, json="Print a JSON array: an object for each session.")
    ],
) -> None:
    """List the sessions: model, turns, when they last changed, size.

    Those that cannot be read are listed with what is wrong. In a pipe: tab-separated, with heads,
    times in UTC and sizes in bytes.
    """
    found = sessions.list_sessions()
    if output.json:
        environment.data().json(view.list_as_json(found))
    elif found or not environment.on_terminal:
        view.show_list(found, environment.stdout)
    else:
        output.messages(environment).info(
            "there are none yet; gptcli chat --session NAME keeps one"
        )


def show(
    environment: Environment,
    named: Named,
    output: Annotated[
        Output, but(quiet=None, json="Print the session as JSON, as export does: its messages.")
    ],
) -> None:
    """Print the messages of a session."""
    found = _found(named.name)
    if output.json:
        environment.data().json(sessions.as_json(found))
    else:
        view.show_messages(found.messages, environment.stdout)


def export(
    environment: Environment,
    named: Named,
    exporting: Exporting,
    output: Annotated[Output, only("quiet")],
) -> None:
    """Write a session as JSON or Markdown.

    In Markdown every message is a fenced block of text, exact to the character, so that nothing in
    it is taken for a heading or for HTML.
    """
    found, file = _found(named.name), exporting.output
    by_name = file is not None and sessions.is_markdown(file)
    kind = exporting.kind or ("markdown" if by_name else "json")
    data = sessions.as_markdown(found).encode() if kind == "markdown" else sessions.encode(found)
    if file is not None:
        sessions.write_bytes(file, data)
        output.messages(environment).info(f"exported {named.name} to {file}")
    elif environment.on_terminal:
        environment.terminal().write(data.decode())
    else:
        environment.data().write_bytes(data)


def remove(
    environment: Environment,
    named: AllNamed,
    output: Annotated[Output, but(json=None)],
) -> None:
    """Remove sessions, for good.

    Where one of the names is unknown, or in use by a chat, none is removed.
    """
    messages = output.messages(environment)
    wanted = list(dict.fromkeys(named.names))
    with ExitStack() as stack:
        for name in wanted:
            if not sessions.exists(name):
                raise _unknown(name)
            stack.enter_context(sessions.held(name))
        for name in wanted:
            sessions.remove(name)
            messages.info(f"removed {name}")


def _found(name: str) -> Session:
    found = sessions.load(name)
    if found is None:
        raise _unknown(name)
    return found


def _unknown(name: str) -> UsageError:
    hint = "gptcli sessions list lists them"
    return UsageError(f"session {name}", "there is no such session", hint)


SUBCOMMANDS = {"list": list_sessions, "show": show, "export": export, "rm": remove}
