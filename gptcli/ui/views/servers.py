"""Servers in the background: which there are, and how they are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from gptcli.types.served import Status
from gptcli.ui.terminal.tables import Cell, Column, fits
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views.printing import fitted
from gptcli.units import size

_COLUMNS = (
    Column("model", style="bold"),
    Column("settings"),
    Column("pid", right=True),
    Column("since"),
    Column("memory", right=True),
    Column("open", right=True),
    Column("idle", right=True),
    Column("address"),
)


def show(found: Sequence[Status], stream: TextIO) -> None:
    """A row for each, lines where the terminal is too narrow for all that a row says.

    Off a terminal tab-separated with exact values, heads first.
    """
    rows = [_row(each) for each in found]
    if stream.isatty() and not fits(_COLUMNS, rows, width_of(stream)):
        for each in found:
            _show_in_lines(each, stream)
        return
    fitted(stream, _COLUMNS, rows)


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


def _show_in_lines(each: Status, stream: TextIO) -> None:
    writer = TerminalWriter(stream)
    writer.paragraph(f"{each.model} {each.settings}".strip(), style="bold")
    since = f"{_since(each).astimezone():%Y-%m-%d %H:%M}"
    said = [f"process {each.pid}", f"since {since}"]
    said += [] if each.memory is None else [size(each.memory)]
    said.append(f"{each.open} open" if each.open else f"idle {_minutes(each.idle_seconds)}")
    said += [each.address] if each.address else []
    writer.paragraph(", ".join(said))


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
