"""How many of the likeliest are shown."""

from __future__ import annotations

from gptcli.config import MOST, Limit, option
from gptcli.plain import dataclass


@dataclass(frozen=True)
class Rows:
    """A number of rows, or of entries at each place."""

    rows: int = option(
        10,
        "How many tokens to show. Default: 10.",
        *("-k", "--rows"),
        metavar="K",
        brief="How many to show.",
        limit=Limit(1, MOST),
    )
