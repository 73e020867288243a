"""Settings, and where each comes from, as they are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TextIO

from gptcli.plain import dataclass
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.views.printing import fitted

_COLUMNS = (
    Column("setting", style="bold"),
    Column("value", shrink=True, least=8),
    Column("source", keep=1, shrink=True, least=8),
)


@dataclass(frozen=True)
class Setting:
    """A setting's name, its value (None where nothing is said), and who says so.

    source: "default", a variable of the environment, or the path of the settings file.
    """

    name: str
    value: object
    source: str


def show(settings: Sequence[Setting], stream: TextIO) -> None:
    """A row for each; tab-separated off a terminal."""
    fitted(stream, _COLUMNS, [_row(each) for each in settings])


def _row(each: Setting) -> list[str | Cell]:
    unset = Cell("not set", "dim", data="")
    value = unset if each.value in (None, ()) else text_of(each.value)
    default = each.source == "default"
    return [each.name, value, Cell(each.source, "dim") if default else each.source]


def as_json(settings: Sequence[Setting]) -> list[dict[str, Any]]:
    """For programs; what nothing is said of is null."""
    return [
        {"name": each.name, "value": _plain(each.value), "source": each.source} for each in settings
    ]


def text_of(value: object) -> str:
    """A value in one line: a text as it is, anything else as JSON has it."""
    return value if isinstance(value, str) else json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: object) -> Any:
    """What JSON can say: paths and the like as texts."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return [*map(_plain, value)] if isinstance(value, list | tuple) else str(value)
