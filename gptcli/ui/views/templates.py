"""Templates of the user's file, as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from gptcli.config import Template
from gptcli.plain import dataclass
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.views.printing import fitted, pairs
from gptcli.ui.views.settings import text_of


@dataclass(frozen=True)
class Listed:
    """A template, the commands that can follow it, and why others, or all, cannot."""

    template: Template
    commands: tuple[str, ...]
    problem: str | None


_COLUMNS = (
    Column("name", style="bold"),
    Column("commands", keep=2),
    Column("prompt", keep=3, shrink=True, least=12),
    Column("flags", keep=1, shrink=True, least=12),
    Column("problem", shrink=True, least=12, style="red"),
)


def show_list(listed: Sequence[Listed], stream: TextIO) -> None:
    """A row for each template; tab-separated off a terminal.

    What is wrong with those that no command can follow stands in a column of its own, if any is.
    """
    broken = any(each.problem is not None for each in listed)
    columns = _COLUMNS if broken or not stream.isatty() else _COLUMNS[:-1]
    fitted(stream, columns, [_row(each)[: len(columns)] for each in listed])


def _row(each: Listed) -> list[str | Cell]:
    flags = " ".join(each.template.flags)
    return [
        each.template.name,
        ", ".join(each.commands),
        each.template.prompt or "",
        flags,
        each.problem or "",
    ]


def as_json(each: Listed) -> dict[str, Any]:
    """For programs: the table of the file, and what can be done with it."""
    return {
        "name": each.template.name,
        "prompt": each.template.prompt,
        "flags": dict(each.template.flags),
        "commands": list(each.commands),
        "problem": each.problem,
    }


def show(each: Listed, stream: TextIO) -> None:
    """A row for each of its keys; tab-separated off a terminal."""
    template = each.template
    said = {} if template.prompt is None else {"prompt": template.prompt}
    rows = [(key, text_of(value)) for key, value in (said | dict(template.flags)).items()]
    rows.append(("commands", ", ".join(each.commands)))
    pairs(stream, [*rows, *([("problem", each.problem)] if each.problem else [])])
