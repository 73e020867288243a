"""Conversations as they are shown: their list, and who said what."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TextIO

from gptcli.chat.sessions import Listed
from gptcli.types.chat import Message
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.pieces import print_pieces
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import neutral
from gptcli.ui.views.chat_document import STYLES
from gptcli.ui.views.printing import blank, fitted
from gptcli.units import size

_COLUMNS = (
    Column("name", shrink=True, least=12, style="bold"),
    Column("model", keep=2, shrink=True, least=8),
    Column("turns", right=True, keep=3),
    Column("updated", keep=4),
    Column("size", right=True, keep=1),
)
_PROBLEM = Column("problem", shrink=True, least=12, style="red")


def show_list(listed: Sequence[Listed], stream: TextIO) -> None:
    """A row for each session; tab-separated with exact values off a terminal.

    What is wrong with those that cannot be read stands in a column of its own, where there are any.
    """
    broken = any(each.problem is not None for each in listed)
    columns = (*_COLUMNS, _PROBLEM) if broken or not stream.isatty() else _COLUMNS
    fitted(stream, columns, [_row(each)[: len(columns)] for each in listed])


def list_as_json(listed: Sequence[Listed]) -> list[dict[str, Any]]:
    """For programs; what a broken session does not tell is null."""
    return [
        {
            "name": each.name,
            "model": each.session and each.session.model,
            "turns": _turns(each),
            "created": each.session and each.session.created,
            "updated": each.session and each.session.updated,
            "bytes": each.size,
            "problem": each.problem,
        }
        for each in listed
    ]


def _row(each: Listed) -> list[str | Cell]:
    model = each.session.model if each.session else ""
    updated = each.session.updated if each.session else ""
    turns = _turns(each)
    return [
        each.name,
        model,
        "" if turns is None else str(turns),
        Cell(_local(updated), data=updated),
        Cell(size(each.size), data=str(each.size)),
        each.problem or "",
    ]


def _turns(each: Listed) -> int | None:
    """How many messages a person sent."""
    if each.session is None:
        return None
    return sum(message.role == "user" for message in each.session.messages)


def _local(moment: str) -> str:
    """An ISO 8601 time as a clock on the wall shows it; anything else as it is."""
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
    return moment


def show_messages(messages: Sequence[Message], stream: TextIO) -> None:
    """Each message under its role; colours on a terminal, with what was thought, and the exact
    contents elsewhere.
    """
    if not stream.isatty():
        texts = (f"{each.role}:\n{each.content}\n" for each in messages)
        DataWriter(stream).write("\n".join(texts))
        return
    for place, each in enumerate(messages):
        if place:
            blank(stream)
        print_pieces(stream, [(f"{each.role}\n", STYLES[each.role])])
        if each.thinking:
            print_pieces(stream, [(neutral(f"{each.thinking}\n\n"), "dim")])
        print_pieces(stream, [(neutral(each.content), "")])
