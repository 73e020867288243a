"""The models of a server, as it lists them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from gptcli.types.models import Offered
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.tables import Column
from gptcli.ui.terminal.visible import plainly
from gptcli.ui.views.printing import fitted
from gptcli.units import UNKNOWN

_COLUMNS = (
    Column("model", style="bold"),
    Column("owner", keep=1, shrink=True, least=8),
    Column("context", right=True, keep=2),
)


def show(stream: TextIO, found: Sequence[Offered], *, json: bool = False) -> None:
    """A table; off a terminal its columns, heads first, tab-separated; one JSON array."""
    if json:
        DataWriter(stream).json(
            [
                {
                    "name": each.name,
                    "aliases": list(each.aliases),
                    "owner": each.owner,
                    "created": each.created,
                    "context": each.context,
                }
                for each in found
            ]
        )
    elif stream.isatty():
        rows = [
            (plainly(each.name), plainly(each.owner), f"{each.context or UNKNOWN}")
            for each in found
        ]
        fitted(stream, _COLUMNS, rows)
    else:
        exact = [(each.name, each.owner, f"{each.context or ''}") for each in found]
        DataWriter(stream).rows([[column.head for column in _COLUMNS], *exact])
