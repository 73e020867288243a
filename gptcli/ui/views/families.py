"""The families of models that run: a table, or rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from gptcli.types.families import FamilyFacts
from gptcli.ui.views.printing import table


def show(stream: TextIO, found: Sequence[FamilyFacts]) -> None:
    """On a terminal what is left out stands behind the models; else in a cell of its own."""
    rows = list[tuple[str, ...]]()
    for each in found:
        runs, left = ", ".join(each.runs), ", ".join(each.left_out)
        first = each.name, f"{each.difference:.1e}"
        if stream.isatty():
            rows.append((*first, runs, each.supports + (f"; left out: {left}" if left else "")))
        else:
            rows.append((*first, each.supports, runs, left))
    table(stream, ("Family", "Difference", "Runs in", "Models"), rows)
