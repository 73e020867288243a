"""Servers in the background: which there are, and how they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from gptcli.types.served import Status
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.views.printing import fitted
from gptcli.units import size

_COLUMNS = (
    Column("model", shrink=True, least=12, style="bold"),
    Column("settings", shrink=True, least=8, keep=1),
    Column("pid", right=True, keep=4),
    Column("since", keep=2),
    Column("memory", right=True, keep=3),
    Column("open", right=True, keep=1),
    Column("idle", right=True, keep=2),
    Column("address", keep=3),
)


def show(found: Sequence[Status], stream: TextIO) -> None:
    """A row for each; tab-separated with exact values off a terminal."""
    fitted(stream, _COLUMNS, [_row(each) for each in found])


def as_json(found: Sequence[Status]) -> list[dict[str, Any]]:
    """For programs; what is not known, or never happens, is null."""
    return [
        {
            "model": each.model,
            "settings": each.settings,
            "pid": each.pid,
            "since": _since(each).isoformat(),
            "memory": each.memory,
            "open": each.open,
            "idle_seconds": round(each.idle_seconds, 3),
            "leaves_after": each.leaves_after,
            "log": each.log,
            "address": each.address,
        }
        for each in found
    ]


def in_words(each: Status) -> str:
    """A server, in a line."""
    leaves = f"leaves after {_minutes(each.leaves_after)} without a question"
    stays = leaves if each.leaves_after is not None else "stays until it is stopped"
    what = f"{each.model} {each.settings}".strip()
    return f"server for {what}: process {each.pid}, {stays}"


def _row(each: Status) -> list[str | Cell]:
    memory, since = each.memory, _since(each)
    return [
        each.model,
        each.settings,
        str(each.pid),
        Cell(f"{since.astimezone():%Y-%m-%d %H:%M}", data=since.isoformat()),
        Cell("" if memory is None else size(memory), data="" if memory is None else str(memory)),
        str(each.open),
        Cell("" if each.open else _minutes(each.idle_seconds), data=f"{each.idle_seconds:.0f}"),
        each.address or "",
    ]


def _since(each: Status) -> datetime:
    return datetime.fromtimestamp(int(each.since), UTC)


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
