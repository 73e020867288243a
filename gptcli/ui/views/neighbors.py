"""Neighbours of words on a terminal, and how far apart a word grows in two contexts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from rich.text import Text

from gptcli.types.neighbors import Drift, Neighborhood, Neighbors
from gptcli.ui.terminal.bars import bar, columns
from gptcli.ui.terminal.tables import Cell, Column, fitted
from gptcli.ui.terminal.visible import visible
from gptcli.ui.terminal.writer import console_for, one_line, width_of
from gptcli.ui.views.lens import name_of
from gptcli.ui.views.next_tokens import caption, number, where
from gptcli.units import percent

#: Lines of the chart of a drift.
_HEIGHT = 6


def show(stream: TextIO, found: Neighbors) -> None:
    """On a terminal charts, and a table for each word; else a row for each neighbour."""
    if not stream.isatty():
        for line in rows(found):
            print(line, file=stream)
        return
    parts: list[Drift | Neighborhood] = [*found.drifts, *found.found]
    for place, each in enumerate(parts):
        if place:
            print(file=stream)
        if isinstance(each, Drift):
            _drift(stream, each)
        else:
            _neighborhood(stream, each)
    caption(stream, where(found.source))


def rows(found: Neighbors) -> Iterator[str]:
    """Tab-separated lines under heads: neighbours, or where there are contexts, distances."""
    if found.drifts:
        yield "word\tcontext\tother_context\tlayer\tdistance"
        for drift in found.drifts:
            for layer, distance in enumerate(drift.distances, -1):
                cells = (drift.word, *drift.contexts, name_of(layer), number(distance))
                yield "\t".join(map(one_line, cells))
        return
    yield "word\trank\ttoken\tid\tcosine"
    for each in found.found:
        for rank, near in enumerate(each.found, 1):
            token = visible(near.token.bytes)
            row = (each.word, str(rank), token, str(near.token.id), number(near.cosine))
            yield "\t".join(map(one_line, row))


def title_of(each: Neighborhood) -> str:
    """The word, and where it stands."""
    if each.context is None:
        return each.word
    layer = "as an embedding" if each.layer == -1 else f"after layer {each.layer}"
    return f"{each.word} in “{each.context}”, {layer}"


def notes(each: Neighborhood) -> Iterator[str]:
    """How the word became a vector, and what was passed over."""
    tokens = " ".join(visible(token.bytes) for token in each.tokens)
    match each.how:
        case "spaced":
            yield f"one token, {tokens}, as it stands within a text"
        case "bare":
            yield f"one token, {tokens}; with a space before it, it would be several"
        case "mean":
            yield f"{len(each.tokens)} tokens, {tokens}: the mean of their vectors"
        case "sum":
            yield f"each word's vector scaled to length 1, then added up ({tokens})"
        case "context":
            last = "" if len(each.tokens) == 1 else f", the last of {tokens}"
            yield f"the stream at position {each.position}{last}"
    if each.own is not None:
        yield f"its cosine with the word's own embedding is {each.own:.3f}"
        if abs(each.own) < 0.3:
            yield (
                "so it has left the space of the embeddings, and neighbours there say little: it"
                " holds the word in its context, on the way to what comes next"
            )
    if each.left_out:
        forms = "spelling" if each.left_out == 1 else "spellings"
        yield f"{each.left_out} other {forms} left out; --forms shows them"


def _neighborhood(stream: TextIO, each: Neighborhood) -> None:
    console_for(stream).print(Text(one_line(title_of(each)), style="bold"))
    length = min(max(width_of(stream) // 4, 6), 40)
    heads = [
        Column("#", right=True, keep=2, style="dim"),
        Column("token", shrink=True, least=6, style="bold"),
        Column("id", right=True, keep=1, style="dim"),
        Column("cosine", right=True, style="cyan"),
        Column("", keep=3, style="cyan"),
    ]
    table: list[list[str | Cell]] = [
        [
            str(rank),
            visible(near.token.bytes),
            str(near.token.id),
            f"{near.cosine:.3f}",
            bar(near.cosine, length),
        ]
        for rank, near in enumerate(each.found, 1)
    ]
    fitted(stream, heads, table)
    for note in notes(each):
        caption(stream, note)
    if each.says:
        said = ", ".join(f"{visible(t.bytes)} {percent(p)}" for t, p in each.says[:5])
        caption(stream, f"read out here, it would say {said}")


def _drift(stream: TextIO, drift: Drift) -> None:
    console, width = console_for(stream), width_of(stream)
    one, other = drift.contexts
    title = f"{drift.word}: how far apart in “{one}” and “{other}” (1 - cosine)"
    console.print(Text(one_line(title), style="bold"))
    top = max(*drift.distances, 1e-6)
    count = len(drift.distances)
    cells = max(min((width - 7) // count, 4), 1)
    shown = drift.distances if count <= width - 7 else _thinned(drift.distances, width - 7)
    for place, line in enumerate(columns([each / top for each in shown], cells, _HEIGHT)):
        mark = f"{top:.3f}" if place == 0 else "0" if place == _HEIGHT - 1 else ""
        console.print(Text.assemble((mark.rjust(6) + " ", "dim"), (line, "cyan")), soft_wrap=True)
    ends = f"{'embed'}{'layer ' + str(count - 2):>{max(len(shown) * cells - 5, 9)}}"
    console.print(Text(" " * 7 + ends, style="dim"), soft_wrap=True)


def _thinned(values: tuple[float, ...], count: int) -> tuple[float, ...]:
    last = len(values) - 1
    return tuple(values[round(place * last / max(count - 1, 1))] for place in range(count))
