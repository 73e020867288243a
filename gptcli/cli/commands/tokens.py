"""`gptcli tokens`: how a text is cut into tokens, and ids back into text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but, only
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.source import Source
from gptcli.cli.input.prompt import read_file, read_prompt
from gptcli.cli.opening import open_for
from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.compute import REMOTE, Compute
from gptcli.types.tokens import DecodeRequest, TokensRequest
from gptcli.ui.terminal.messages import Messages
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


@dataclass(frozen=True)
class Cutting:
    """What is told of the tokens, or the ids that are put together again."""

    ids: bool = option(False, "Print only the ids.", panel="Output", brief="Print only the ids.")
    count: bool = option(
        False,
        "Print only how many tokens there are; an empty text has 0.",
        panel="Output",
        brief="Print only how many there are.",
    )
    decode: str | None = option(
        None,
        "Print the text of these ids instead, with commas or spaces between them; - reads them from"
        " stdin.",
        metavar="IDS",
        brief="Print the text of these ids instead.",
        stdin=True,
    )
    everything: bool = option(
        False,
        f"Show all tokens on a terminal, not the first {view.ROWS} as a table and {view.SHOWN}"
        " coloured.",
        "--all",
        panel="Output",
        brief="Show all tokens on a terminal.",
    )


def tokens(
    environment: Environment,
    source: Annotated[
        Source,
        but(
            prompt={"metavar": "TEXT"},
            special="Read control tokens such as <|im_end|> in the text as tokens, not as text.",
        ),
    ],
    cutting: Cutting,
    compute: Annotated[Compute, only("model", "no_server", *REMOTE)],
    output: Annotated[
        Output,
        but(
            json="One JSON object: count, characters, bytes, and tokens with token, id, bytes"
            " and special."
        ),
    ],
) -> None:
    """Cut a text into tokens.

    On a terminal: the text with a colour for each token, and a table; in a pipe: position, token,
    id, bytes and whether it is a control token (0 or 1), tab-separated under a line of heads.
    What a model expects before every text (a BOS token) is not part of the text and not shown. A
    token that is only part of a character shows its bytes. --decode writes the exact bytes.
    """
    ids, count, json = cutting.ids, cutting.count, output.json
    if sum((ids, count, json)) > 1:
        raise UsageError("--ids, --count, --json", "exclude each other")
    messages = output.messages(environment)
    if cutting.decode is not None:
        if source.named:
            raise UsageError("--decode", "takes ids, so there can be no text as well")
        if ids or count:
            raise UsageError("--decode", "gives a text, so --ids and --count say nothing")
        text = cutting.decode
        given = _ids(read_file(environment, Path("-")) if text == "-" else text)
        _decode(environment, given, compute, messages, json=json)
        return
    found = read_prompt(environment, source, messages, what="text", example=_EXAMPLE, empty=count)
    backend = open_for(compute, messages, weights=False)
    answer = backend.answer(TokensRequest(found, special=source.special))
    messages.notices(answer.notices)
    writer = environment.data()
    if count:
        writer.write(f"{len(answer.ids)}\n")
    elif ids:
        view.write_ids(writer, answer)
    elif json:
        view.write_json(writer, answer)
    elif environment.on_terminal:
        view.show(environment.stdout, answer, everything=cutting.everything)
    else:
        view.write_table(writer, answer)


def _decode(
    environment: Environment,
    ids: list[int],
    compute: Compute,
    messages: Messages,
    *,
    json: bool,
) -> None:
    """The bytes exactly; on a terminal control characters and broken bytes are shown."""
    backend = open_for(compute, messages, weights=False)
    answer = backend.answer(DecodeRequest(tuple(ids), "--decode"))
    writer = environment.data()
    if json:
        view.write_json(writer, answer)
        return
    if not environment.on_terminal:
        writer.write_bytes(answer.data)
        return
    terminal = environment.terminal()
    terminal.write(answer.data.decode(errors="backslashreplace"))
    terminal.end_line()


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
