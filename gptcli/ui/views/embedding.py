"""Vectors of texts: at a glance, tab-separated, in OpenAI's JSON, as an array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TextIO

from gptcli.types.embedding import Embedding
from gptcli.ui.data.values import number
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.heat import Heat
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import plainly
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views import source
from gptcli.ui.views.printing import fitted
from gptcli.units import UNKNOWN

_COLUMNS = (
    Column("text", shrink=True, least=8),
    Column("tokens", right=True, keep=1, style="dim"),
    Column("length", right=True, keep=2),
    Column("first numbers", keep=3, shrink=True, least=8),
)
#: As many as a row of a table has room for, mostly.
_FIRST = 6


def show(stream: TextIO, texts: Sequence[str], found: Sequence[Embedding]) -> None:
    """A row of numbers for each text, tab-separated; on a terminal what they look like."""
    if not stream.isatty():
        DataWriter(stream).rows([list(map(number, each.vector)) for each in found])
        return
    rows: list[list[str | Cell]] = []
    for text, each in zip(texts, found, strict=True):
        tokens = UNKNOWN if each.tokens is None else str(each.tokens)
        length = f"{math.sqrt(math.fsum(x * x for x in each.vector)):.4g}"
        begin = " ".join(f"{x:.4f}" for x in each.vector[:_FIRST])
        rows.append([plainly(text), tokens, length, begin])
    fitted(stream, _COLUMNS, rows)
    writer = TerminalWriter(stream)
    heat = Heat(stream)
    for text, each in zip(texts, found, strict=True):
        writer.line()
        writer.line(plainly(text)[: width_of(stream)], "dim")
        for line in heat.strip(each.vector, width_of(stream)):
            writer.line(line)
    writer.line()
    count = len(found[0].vector)
    writer.line(f"{count} numbers each; {source.where(found[0].source)}", "dim")


def as_json(found: Sequence[Embedding]) -> dict[str, Any]:
    """OpenAI's list of embeddings; null for tokens that a server does not count."""
    counts = [each.tokens for each in found]
    tokens = None if None in counts else sum(count or 0 for count in counts)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": list(each.vector)}
            for index, each in enumerate(found)
        ],
        **source.fields(found[0].source),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
