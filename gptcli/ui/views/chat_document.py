"""The exact document that a model continues: coloured by role, and how sure each turn's end was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from gptcli.types.chat import ChatDocument, DocumentTurn
from gptcli.types.token import Token
from gptcli.ui.data.values import token_json
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.pieces import print_pieces
from gptcli.ui.terminal.visible import neutral
from gptcli.ui.views import source
from gptcli.ui.views.printing import blank, caption
from gptcli.ui.views.source import where
from gptcli.units import counted, percent

#: The assistant is bold, so that it is told apart without colours too.
STYLES = {"system": "yellow", "user": "cyan", "assistant": "bold green", None: ""}
_CONTROL = "magenta"
_MARK = "dim"


def show(document: ChatDocument, stream: TextIO) -> None:
    """Colours, probabilities and a caption on a terminal; elsewhere the text exactly."""
    if not stream.isatty():
        DataWriter(stream).write(document.text)
        return
    print_pieces(stream, _pieces(document))
    blank(stream)
    tokens = counted(sum(len(turn.tokens) for turn in document.turns), "token")
    caption(stream, f"{document.form}: {tokens}; {where(document.source)}")
    if any(turn.ending_probability is not None for turn in document.turns):
        caption(stream, "‹…› is how probable the model finds that the turn ends there")


def _pieces(document: ChatDocument) -> Iterator[tuple[str, str]]:
    """(text, style) of everything."""
    for turn in document.turns:
        style = STYLES[turn.role]
        at = turn.ending_at
        yield from _texts(turn.tokens[:at], style)
        if turn.ending_probability is not None:
            yield f"‹{percent(turn.ending_probability)}›", _MARK
        if at is not None:
            yield from _texts(turn.tokens[at:], style)


def _texts(tokens: Sequence[Token], style: str) -> Iterator[tuple[str, str]]:
    """Tokens as texts; characters of several tokens are whole, control tokens stand out."""
    held = b""
    for each in tokens:
        if not each.special:
            held += each.bytes
            continue
        if held:
            yield neutral(held.decode(errors="replace")), style
            held = b""
        yield neutral(each.text), _CONTROL
    if held:
        yield neutral(held.decode(errors="replace")), style


def as_json(document: ChatDocument) -> dict[str, Any]:
    """Text, turns and tokens; `ending` is the token after a turn's content."""
    return {
        "object": "document",
        **source.fields(document.source),
        "form": document.form,
        "text": document.text,
        "usage": {"prompt_tokens": sum(len(turn.tokens) for turn in document.turns)},
        "turns": [_turn(turn) for turn in document.turns],
    }


def _turn(turn: DocumentTurn) -> dict[str, Any]:
    return {
        "role": turn.role,
        "text": turn.text,
        "tokens": [{**token_json(each), "special": each.special} for each in turn.tokens],
        "ending": None if turn.ending is None else token_json(turn.ending),
        "ending_probability": turn.ending_probability,
    }
