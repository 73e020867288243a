"""Tokens as they are shown: the text coloured, a table, TSV, JSON.

What is written for each id is made once, since a text may have a million tokens of few kinds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import TextIO

from gptcli.types.token import Token
from gptcli.types.tokens import Tokens
from gptcli.ui.data.writer import DataWriter, cell
from gptcli.ui.terminal.pieces import few_colours, has_colour, print_pieces
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import isolated, neutral, visible
from gptcli.ui.views.printing import fitted

#: How many tokens a terminal shows coloured, and how many as rows, unless it is to show all.
SHOWN, ROWS = 2000, 50
#: Two that take turns, and one for control tokens, in 256 colours and in eight. Foreground and
#: background together, so that they can be read on dark and on light terminals.
_STYLES = ("black on color(153)", "black on color(223)", "bold black on color(211)")
_FEW_STYLES = ("black on cyan", "black on white", "bold black on magenta")
_COLUMNS = (
    Column("#", right=True, keep=2, style="dim"),
    Column("token", shrink=True, least=6),
    Column("id", right=True),
    Column("bytes", right=True, keep=1),
    Column("", keep=3, style="dim"),
)
_HEADS = "position\ttoken\tid\tbytes\tspecial\n"


def show(stream: TextIO, tokens: Tokens, *, everything: bool = False) -> None:
    """The coloured text (where there are colours), a table, totals."""
    count = len(tokens.ids)
    if has_colour(stream):
        limit = count if everything else SHOWN
        print_pieces(
            stream, _coloured(tokens, limit, _FEW_STYLES if few_colours(stream) else _STYLES)
        )
        print_pieces(stream, [("", ""), *_left_out(count - limit), ("\n", "")])
    limit = count if everything else ROWS
    rows = [
        _row(place, tokens.known[token]) for place, token in enumerate(islice(tokens.ids, limit))
    ]
    fitted(stream, _COLUMNS, rows)
    print_pieces(stream, _left_out(count - limit))
    print_pieces(stream, [("\n" + neutral(totals(tokens)), "")])


def totals(tokens: Tokens) -> str:
    """`12 tokens, 45 characters, 47 bytes: 3.92 bytes per token (smollm2)`."""
    count = len(tokens.ids)
    counts = ((count, "token"), (tokens.characters, "character"), (tokens.bytes, "byte"))
    found = ", ".join(f"{n} {name}{'s' * (n != 1)}" for n, name in counts)
    rate = f": {tokens.bytes / count:.2f} bytes per token" if count else ""
    return f"{found}{rate} ({tokens.model})"


def write_table(writer: DataWriter, tokens: Tokens) -> None:
    """TSV under a line of heads."""
    ends = {
        token: f"\t{cell(each.bytes)}\t{token}\t{len(each.bytes)}\t{int(each.special)}\n"
        for token, each in tokens.known.items()
    }
    lines = (f"{place}{ends[token]}" for place, token in enumerate(tokens.ids))
    writer.write(_HEADS + "".join(lines))


def write_ids(writer: DataWriter, tokens: Tokens) -> None:
    """The ids on one line, with spaces between them."""
    writer.write(" ".join(map(str, tokens.ids)) + "\n")


def write_json(writer: DataWriter, tokens: Tokens) -> None:
    """One object on one line."""
    each = {
        token: json.dumps(
            {
                "token": found.text,
                "id": token,
                "bytes": list(found.bytes),
                "special": found.special,
            },
            ensure_ascii=False,
        )
        for token, found in tokens.known.items()
    }
    head = {
        "object": "tokens",
        "model": tokens.model,
        "count": len(tokens.ids),
        "characters": tokens.characters,
        "bytes": tokens.bytes,
    }
    listed = ", ".join(map(each.__getitem__, tokens.ids))
    opening = json.dumps(head, ensure_ascii=False).removesuffix("}")
    writer.json_text(f'{opening}, "tokens": [{listed}]}}')


def _coloured(
    tokens: Tokens, limit: int, styles: tuple[str, str, str]
) -> Iterator[tuple[str, str]]:
    shown = {token: _shown(each) for token, each in tokens.known.items()}
    for place, token in enumerate(islice(tokens.ids, limit)):
        style = styles[2 if tokens.known[token].special else place % 2]
        for part in shown[token]:
            # No newline has a style: some terminals colour all of the line that it begins.
            yield part, "" if part == "\n" else style


def _shown(token: Token) -> list[str]:
    """The token made visible, spaces as they are; a newline is marked and stays."""
    text = isolated(visible(token.bytes).replace("␣", " "))
    lines = text.split("⏎")
    found = [lines[0]]
    for line in lines[1:]:
        found += ["⏎", "\n", line]
    return found


def _row(place: int, token: Token) -> list[str | Cell]:
    name = Cell(visible(token.bytes), "bold" if token.special else "")
    kind = "control token" if token.special else ""
    return [str(place), name, str(token.id), str(len(token.bytes)), kind]


def _left_out(count: int) -> list[tuple[str, str]]:
    return [(f"… {count} more; --all shows them", "dim")] if count > 0 else []
