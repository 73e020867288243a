"""What of rich things are drawn with on a terminal, each imported when it is first used.

Off a terminal nothing is drawn: a short command in a pipe would wait longer for rich than for its
answer. `paint.Text` here is `rich.text.Text`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich import box as box
    from rich.cells import cell_len as cell_len
    from rich.console import Console as Console
    from rich.console import ConsoleRenderable as ConsoleRenderable
    from rich.console import Group as Group
    from rich.live import Live as Live
    from rich.segment import Segment as Segment
    from rich.table import Table as Table
    from rich.text import Text as Text
else:
    _HOMES = {
        "cell_len": "rich.cells",
        **dict.fromkeys(("Console", "ConsoleRenderable", "Group"), "rich.console"),
        "Live": "rich.live",
        "Segment": "rich.segment",
        "Table": "rich.table",
        "Text": "rich.text",
    }

    def __getattr__(name: str) -> Any:
        if name == "box":
            found = import_module("rich.box")
        elif name in _HOMES:
            found = getattr(import_module(_HOMES[name]), name)
        else:
            raise AttributeError(name)
        globals()[name] = found
        return found
