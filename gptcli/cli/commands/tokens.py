"""`gptcli tokens`: how a text is cut into tokens, and ids back into text."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from gptcli import config
from gptcli.cli.flags import common as options
from gptcli.cli.input.prompt import read_file, read_prompt
from gptcli.cli.opening import open_for, settings_of
from gptcli.errors import UsageError
from gptcli.types.tokens import DecodeRequest, TokensRequest
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.writer import TerminalWriter
from gptcli.ui.views import tokens as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("How a sentence is cut.", 'gptcli tokens "Tokenization is not word splitting."'),
    ("How many tokens a file has.", "gptcli tokens --count -f README.md"),
    ("Only the ids.", 'gptcli tokens --ids "Hello world"'),
    ("From ids to text again.", "gptcli tokens --decode 19556,905"),
    ("Another model's tokens.", 'gptcli tokens -m gpt2 "Hello world"'),
)

_EXAMPLE = 'gptcli tokens "Hello world"'


def tokens(
    text: options.TextArgument = None,
    prompt_option: options.PromptOption = None,
    file: options.PromptFile = None,
    verbatim: options.Verbatim = False,
    ids: Annotated[
        bool, typer.Option("--ids", rich_help_panel="Output", help="Print only the ids.")
    ] = False,
    count: Annotated[
        bool,
        typer.Option(
            "--count",
            rich_help_panel="Output",
            help="Print only how many tokens there are; an empty text has 0.",
        ),
    ] = False,
    decode: Annotated[
        str | None,
        typer.Option(
            metavar="IDS",
            show_default=False,
            help="Print the text of these ids instead, with commas or spaces between them; - reads"
            " them from stdin.",
        ),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            rich_help_panel="Output",
            help=f"Show all tokens on a terminal, not the first {view.ROWS} as a table and"
            f" {view.SHOWN} coloured.",
        ),
    ] = False,
    model: options.Model = None,
    special: options.SpecialInText = False,
    json: Annotated[
        bool, typer.Option("--json", rich_help_panel="Output", help="Print JSON.")
    ] = False,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Cut a text into tokens.

    On a terminal: the text with a colour for each token, and a table; in a pipe: position, token,
    id, bytes and whether it is a control token (0 or 1), tab-separated under a line of heads.
    What a model expects before every text (a BOS token) is not part of the text and not shown. A
    token that is only part of a character shows its bytes. --decode writes the exact bytes.
    """
    if sum((ids, count, json)) > 1:
        raise UsageError("--ids, --count, --json", "exclude each other")
    settings = settings_of(locals())
    messages = Messages(sys.stderr, quiet=quiet)
    if decode is not None:
        if text is not None or prompt_option is not None or file:
            raise UsageError("--decode", "takes ids, so there can be no text as well")
        if ids or count:
            raise UsageError("--decode", "gives a text, so --ids and --count say nothing")
        given = _ids(_stdin() if decode == "-" else decode)
        _decode(given, settings, messages, json=json)
        return
    found = read_prompt(
        text,
        prompt_option,
        file or (),
        verbatim=verbatim,
        what="text",
        example=_EXAMPLE,
        empty=count,
    )
    backend = open_for(settings, messages, weights=False)
    answer = backend.answer(TokensRequest(found, special=special))
    messages.notices(answer.notices)
    writer = DataWriter(sys.stdout)
    if count:
        writer.write(f"{len(answer.ids)}\n")
    elif ids:
        view.write_ids(writer, answer)
    elif json:
        view.write_json(writer, answer)
    elif sys.stdout.isatty():
        view.show(sys.stdout, answer, everything=everything)
    else:
        view.write_table(writer, answer)


def _decode(ids: list[int], settings: config.Settings, messages: Messages, *, json: bool) -> None:
    """The bytes exactly; on a terminal control characters and broken bytes are shown."""
    backend = open_for(settings, messages, weights=False)
    answer = backend.answer(DecodeRequest(tuple(ids), "--decode"))
    writer = DataWriter(sys.stdout)
    if json:
        view.write_json(writer, answer)
        return
    data = b"".join(answer.known[token].bytes for token in answer.ids)
    if not sys.stdout.isatty():
        writer.write_bytes(data)
        return
    terminal = TerminalWriter(sys.stdout)
    terminal.write(data.decode(errors="backslashreplace"))
    terminal.end_line()


def _stdin() -> str:
    return read_file(Path("-"))


def _ids(text: str) -> list[int]:
    """Raises UsageError for anything but whole numbers."""
    parts = [part for part in re.split(r"[,\s]+", text) if part]
    if not parts:
        raise UsageError("--decode", "names no token", "for example: --decode 1,2,3")
    bad = next((part for part in parts if not (part.isascii() and part.isdecimal())), None)
    if bad is not None:
        reason = f"must be ids with commas or spaces between them, and {bad[:40]!r} is none"
        raise UsageError("--decode", reason)
    # Python refuses to read numbers of thousands of digits.
    long = next((part for part in parts if len(part) > 12), None)
    if long is not None:
        raise UsageError("--decode", f"{long[:12]}… is too large for an id")
    return list(map(int, parts))
