"""Activations of one prompt in the run of another: heat maps and tables; rows; JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TextIO

from gptcli.types.patch import Direction, Patched, Patching, Place
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import visible
from gptcli.ui.terminal.writer import TerminalWriter
from gptcli.ui.views import odds
from gptcli.ui.views.ablate import precision_note
from gptcli.ui.views.heat_map import HeatMap
from gptcli.ui.views.patch_data import RULES, as_json, by_strength, layer_name, rows
from gptcli.ui.views.printing import caption, fitted
from gptcli.ui.views.source import where
from gptcli.units import counted, percent

__all__ = ["as_json", "map_of", "notes", "show", "title_of", "told"]

#: Lines of heads, and rows with what was found for each column.
Map = tuple[list[list[str]], list[tuple[str, list[Patched | None]]]]


def show(stream: TextIO, found: Patching, most: int) -> None:
    """On a terminal what is asked, a map and the strongest so many of each direction.

    Elsewhere a row for each patch.
    """
    if not stream.isatty():
        DataWriter(stream).rows(rows(found))
        return
    writer = TerminalWriter(stream)
    for line in told(found):
        writer.paragraph(line, style="bold")
    for direction in found.asked.request.directions:
        if not found.of(direction):
            continue
        writer.line()
        writer.paragraph(title_of(found, direction), style="bold")
        _map(stream, found, direction)
        writer.line()
        _table(stream, found, direction, most)
    for line in notes(found):
        caption(stream, line)
    caption(stream, where(found.source))


def told(found: Patching) -> Iterator[str]:
    """What is asked about, in words."""
    asked = found.asked
    clean, corrupt = asked.odds, asked.corrupt_odds
    which = ", the likeliest token after the clean prompt," if asked.likeliest else ""
    texts = [(odds.text_of(asked.target) + which, clean.target, corrupt.target)]
    if asked.versus is not None and clean.versus is not None and corrupt.versus is not None:
        texts.append((odds.text_of(asked.versus), clean.versus, corrupt.versus))
    for text, one, other in texts:
        before, after = (percent(math.exp(each)) for each in (one, other))
        yield f"{text} follows the clean prompt with {before}, the corrupt one with {after}"
    of = "log-probability" if asked.versus is None else "difference of the log-probabilities"
    values = f"{clean.value:+.3f} in the clean run, {corrupt.value:+.3f} in the corrupt one"
    yield f"the {of} is {values}"
    if found.partial:
        yield f"partial: {len(found.found)} of {asked.count} were computed"


def title_of(found: Patching, direction: Direction) -> str:
    """What is put where."""
    what = {"stream": "the stream", "attention": "what attention adds"}
    what |= {"mlp": "what the MLP adds", "head": "what a head hands on"}
    put = "clean into the corrupt run" if direction == "denoise" else "corrupt into the clean run"
    return f"{direction}: {what[found.asked.request.at]}, {put}"


def notes(found: Patching) -> Iterator[str]:
    """What a reader should know beside the numbers."""
    asked, request = found.asked, found.asked.request
    yield "0 is the corrupt run, 1 the clean one; the colour is how far a patch moves from its run"
    if request.at == "head" and not request.together:
        yield "of a head, the map shows the position that moves the most"
    if request.at == "stream":
        yield "a row is the stream behind a layer; embed is the embedding, before the first"
    yield RULES[request.align]
    if asked.with_target:
        yield "with the last position go the tokens that follow: behind each the next is read"
    skipped = min(len(asked.clean), len(asked.corrupt)) - len(asked.pairs)
    if skipped:
        yield f"{counted(len(asked.pairs), 'pair')} of positions; before these nothing differs"
    if found.asked.share(0.0) is None:
        yield "both runs give the same: there is nothing to be a share of"
    yield from precision_note(asked.source)


def map_of(found: Patching, direction: Direction) -> Map:
    """Layers down; positions across, both prompts' tokens over them, or heads."""
    asked, known = found.asked, found.of(direction)
    layers = sorted({place.layer for place in asked.places})
    if asked.request.at == "head":
        count = 1 + max(place.head or 0 for place in asked.places)
        strongest: dict[tuple[int, int], Patched] = {}
        for place, each in by_strength(found, direction):
            strongest.setdefault((place.layer, place.head or 0), each)
        heads = [[str(at) for at in range(count)]]
        lines = [
            (layer_name(layer), [strongest.get((layer, at)) for at in range(count)])
            for layer in layers
        ]
        return heads, lines
    pairs: list[int | None] = [None] if asked.request.together else [*range(len(asked.pairs))]
    lines = [
        (layer_name(layer), [known.get(Place(layer, pair)) for pair in pairs]) for layer in layers
    ]
    if asked.request.together:
        return [["all positions"]], lines
    clean = [visible(asked.clean[one].bytes) for one, _ in asked.pairs]
    corrupt = [visible(asked.corrupt[other].bytes) for _, other in asked.pairs]
    return ([clean] if clean == corrupt else [clean, corrupt]), lines


def _map(stream: TextIO, found: Patching, direction: Direction) -> None:
    heads, lines = map_of(found, direction)
    values = [
        (name, [None if each is None else found.share(each) for each in row]) for name, row in lines
    ]

    def moved(share: float) -> float:
        far = share if direction == "denoise" else 1 - share
        return max(-1.0, min(far, 1.0))

    HeatMap("layer", heads, values, lambda share: f"{share:.2f}"[:5], moved).draw(stream)


def place_of(found: Patching, place: Place) -> list[str]:
    """Layer, head, and the tokens of the two prompts, as cells."""
    head = [] if place.head is None else [str(place.head)]
    if place.pair is None:
        return [layer_name(place.layer), *head, "all", "", ""]
    one, other = found.asked.pairs[place.pair]
    texts = [visible(found.asked.clean[one].bytes), visible(found.asked.corrupt[other].bytes)]
    return [layer_name(place.layer), *head, str(other), *texts]


def _table(stream: TextIO, found: Patching, direction: Direction, most: int) -> None:
    columns = [
        Column("layer", right=True),
        *([Column("head", right=True)] if found.asked.request.at == "head" else []),
        Column("#", right=True, style="dim", keep=2),
        Column("clean", shrink=True, least=6, keep=5),
        Column("corrupt", shrink=True, least=6, keep=4),
        Column("value", right=True),
        Column("", keep=1),
        Column("p", right=True, keep=3),
    ]
    order = by_strength(found, direction)
    table: list[list[str | Cell]] = []
    for place, each in order[:most]:
        share, moved = found.share(each), found.moved(each) or 0.0
        style = odds.style_of(-moved)
        cells = [
            Cell("" if share is None else f"{share:.3f}", style),
            Cell(odds.blocks(stream, min(abs(moved), 1.0)), style),
        ]
        table.append([*place_of(found, place), *cells, percent(math.exp(each.odds.target))])
    fitted(stream, columns, table)
    if len(order) > most:
        caption(stream, f"the {most} strongest of {len(order)}; -k shows more")
