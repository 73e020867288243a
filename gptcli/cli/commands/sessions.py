"""`gptcli sessions`: the conversations that are kept, and getting them out."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from gptcli.chat import sessions
from gptcli.chat.sessions import Session
from gptcli.cli.boundary import guarded
from gptcli.cli.flags import common as options
from gptcli.cli.flags.completers import complete_session
from gptcli.errors import UsageError
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.writer import TerminalWriter
from gptcli.ui.views import sessions as view

EXAMPLES = (
    ("Which conversations there are.", "gptcli sessions list"),
    ("What was said.", "gptcli sessions show travel"),
    ("A page to read or to publish.", "gptcli sessions export travel -o travel.md"),
    ("For a program.", "gptcli sessions export travel | jq -r '.messages[-1].content'"),
    ("Forget two of them.", "gptcli sessions rm travel dinner"),
)
_FORMATS = ("json", "markdown")
_MARKDOWN = (".md", ".markdown")

app = typer.Typer(name="sessions")


Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME", autocompletion=complete_session, help="As given to chat --session."
    ),
]
Names = Annotated[
    list[str],
    typer.Argument(
        metavar="NAME", autocompletion=complete_session, help="As given to chat --session."
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        callback=options.one_of("--format", _FORMATS),
        autocompletion=lambda: list(_FORMATS),
        show_default=False,
        help="json, which /load of a chat reads again, or markdown. Default: markdown for a FILE"
        " that ends in .md, else json.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="FILE", show_default=False, help="Write to a file, not to stdout."
    ),
]


@app.callback(invoke_without_command=True)
def group(context: typer.Context) -> None:
    """List, show, export and remove kept conversations.

    `gptcli chat --session NAME` keeps one, in gptcli's data directory (GPTCLI_DATA_DIR moves it).
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
@guarded
def list_sessions(json: options.Json = False, no_color: options.NoColor = False) -> None:
    """List the sessions: model, turns, when they last changed, size.

    Those that cannot be read are listed with what is wrong. In a pipe: tab-separated, with heads,
    times in UTC and sizes in bytes.
    """
    found = sessions.list_sessions()
    if json:
        DataWriter(sys.stdout).json(view.list_as_json(found))
    elif found or not sys.stdout.isatty():
        view.show_list(found, sys.stdout)
    else:
        Messages(sys.stderr).info("there are none yet; gptcli chat --session NAME keeps one")


@app.command("show")
@guarded
def show(name: Name, json: options.Json = False, no_color: options.NoColor = False) -> None:
    """Print the messages of a session."""
    found = _found(name)
    if json:
        DataWriter(sys.stdout).json(sessions.as_json(found))
    else:
        view.show_messages(found.messages, sys.stdout)


@app.command("export")
@guarded
def export(
    name: Name,
    format_: Format = None,
    output: Output = None,
    quiet: options.Quiet = False,
) -> None:
    """Write a session as JSON or Markdown.

    In Markdown every message is a fenced block of text, exact to the character, so that nothing in
    it is taken for a heading or for HTML.
    """
    found = _found(name)
    by_name = output is not None and output.suffix.lower() in _MARKDOWN
    kind = format_ or ("markdown" if by_name else "json")
    data = sessions.as_markdown(found).encode() if kind == "markdown" else sessions.encode(found)
    if output is not None:
        sessions.write_bytes(output, data)
        Messages(sys.stderr, quiet=quiet).info(f"exported {name} to {output}")
    elif sys.stdout.isatty():
        TerminalWriter(sys.stdout).write(data.decode())
    else:
        DataWriter(sys.stdout).write_bytes(data)


@app.command("rm")
@guarded
def remove(names: Names, quiet: options.Quiet = False, no_color: options.NoColor = False) -> None:
    """Remove sessions, for good.

    Where one of the names is unknown, or in use by a chat, none is removed.
    """
    messages = Messages(sys.stderr, quiet=quiet)
    wanted = list(dict.fromkeys(names))
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
