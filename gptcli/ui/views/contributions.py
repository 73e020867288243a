"""Which parts spoke for the token that was drawn: as a chapter, rows and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gptcli.types.explain import Contribution, Round
from gptcli.types.parts import AddedPart
from gptcli.ui.data.values import looks_json
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import visible
from gptcli.ui.views.chapter import Chapter, Meter, Numbers, chapter_of, column, listed
from gptcli.ui.words import Words

#: How many are told of; the others are one row.
_SHOWN = 10


def chapter(found: Round, words: Words) -> Chapter:
    """The strongest parts, and all others together."""
    every = found.contributions
    total = sum(each.part.adds for each in every)
    facts: dict[str, object] = {
        "token": visible(found.drawn.token.bytes),
        "logit": f"{total:.2f}",
    }
    return chapter_of(words, "parts", facts, [_table(every, words)] if every else [])


def _table(every: Sequence[Contribution], words: Words) -> Numbers:
    columns = (
        column(words, "layer"),
        column(words, "part", "token"),
        column(words, "adds", "main"),
        Column("", keep=1, style="cyan"),
        column(words, "looks", "list", keep=2),
    )
    shown, others = every[:_SHOWN], every[_SHOWN:]
    largest = max(abs(each.part.adds) for each in every) or 1.0
    rows: list[tuple[str | Cell | Meter, ...]] = [
        (
            "" if each.part.layer is None else str(each.part.layer),
            _name(each.part, words),
            f"{each.part.adds:+.2f}",
            Meter(each.part.adds / largest),
            listed([(token, share) for _, token, share in each.looks], "{:.0%}", 3),
        )
        for each in shown
    ]
    if others:
        adds = sum(each.part.adds for each in others)
        name = Cell(words.phrase("part", "others", count=len(others)), "dim")
        rows.append(("", name, f"{adds:+.2f}", Meter(max(min(adds / largest, 1.0), -1.0)), ""))
    return Numbers(columns, tuple(rows))


def _name(part: AddedPart, words: Words) -> str:
    return words.phrase("part", part.name, head=part.head)


def named_rows(found: Round) -> Iterator[tuple[str, float, int | str, int | str, bytes]]:
    """Name, value, layer, position and token of each number; a head has its number in its name."""
    for each in found.contributions:
        part = each.part
        name = part.name if part.head is None else f"{part.name} {part.head}"
        layer = "" if part.layer is None else part.layer
        yield name, part.adds, layer, "", found.drawn.token.bytes
        for at, token, share in each.looks:
            yield f"{name} weight", share, layer, at, token.bytes


def as_json(found: Round) -> list[dict[str, Any]]:
    """All parts, those that add or take most first; of the strongest heads where they look."""
    return [
        {
            "part": each.part.name,
            "layer": each.part.layer,
            "head": each.part.head,
            "adds": each.part.adds,
        }
        | ({"looks_at": looks_json(each.looks)} if each.looks else {})
        for each in found.contributions
    ]
