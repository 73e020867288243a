"""Neighbours of words, and how far apart a word grows in two contexts: tables, rows, JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TextIO

from gptcli.types.neighbors import Drift, Neighborhood, Neighbors
from gptcli.ui.data.values import number, token_json, valued_json
from gptcli.ui.data.writer import DataWriter, Row
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.bars import bar, columns
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import visible
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views import source
from gptcli.ui.views.lens import name_of
from gptcli.ui.views.printing import blank, caption, fitted
from gptcli.ui.views.source import where
from gptcli.units import percent

#: Lines of the chart of a drift.
_HEIGHT = 6


def show(stream: TextIO, found: Neighbors) -> None:
    """On a terminal charts, and a table for each word; else a row for each neighbour."""
    if not stream.isatty():
        DataWriter(stream).rows(rows(found))
        return
    parts: list[Drift | Neighborhood] = [*found.drifts, *found.found]
    for place, each in enumerate(parts):
        if place:
            blank(stream)
        if isinstance(each, Drift):
            _drift(stream, each)
        else:
            _neighborhood(stream, each)
    caption(stream, where(found.source))


def rows(found: Neighbors) -> Iterator[Row]:
    """Cells under heads: neighbours, or where there are contexts, distances."""
    if found.drifts:
        yield ("word", "context", "other_context", "layer", "distance")
        for drift in found.drifts:
            for layer, distance in enumerate(drift.distances, -1):
                yield (drift.word, *drift.contexts, name_of(layer), number(distance))
        return
    yield ("word", "rank", "token", "id", "cosine")
    for each in found.found:
        for rank, near in enumerate(each.found, 1):
            token = near.token
            yield (each.word, str(rank), token.bytes, str(token.id), number(near.cosine))


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
    TerminalWriter(stream).paragraph(title_of(each), style="bold")
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
    writer, width = TerminalWriter(stream), width_of(stream)
    one, other = drift.contexts
    title = f"{drift.word}: how far apart in “{one}” and “{other}” (1 - cosine)"
    writer.paragraph(title, style="bold")
    top = max(*drift.distances, 1e-6)
    count = len(drift.distances)
    cells = max(min((width - 7) // count, 4), 1)
    shown = drift.distances if count <= width - 7 else _thinned(drift.distances, width - 7)
    for place, line in enumerate(columns([each / top for each in shown], cells, _HEIGHT)):
        mark = f"{top:.3f}" if place == 0 else "0" if place == _HEIGHT - 1 else ""
        writer.line(paint.Text.assemble((mark.rjust(6) + " ", "dim"), (line, "cyan")))
    ends = f"{'embed'}{'layer ' + str(count - 2):>{max(len(shown) * cells - 5, 9)}}"
    writer.line(paint.Text(" " * 7 + ends, style="dim"))


def _thinned(values: tuple[float, ...], count: int) -> tuple[float, ...]:
    last = len(values) - 1
    return tuple(values[round(place * last / max(count - 1, 1))] for place in range(count))


def as_json(found: Neighbors) -> dict[str, Any]:
    """Neighbours by word, and distances: the first of the embedding, then after each layer."""
    return {
        "object": "neighbors",
        **source.fields(found.source),
        "vocabulary": found.vocabulary,
        "width": found.width,
        "words": [_neighborhood_json(each) for each in found.found],
        "drifts": [asdict(each) for each in found.drifts],
    }


def _neighborhood_json(each: Neighborhood) -> dict[str, Any]:
    value = {
        "word": each.word,
        "vector_of": each.how,
        "tokens": [token_json(one) for one in each.tokens],
        "norm": each.norm,
        "other_spellings_left_out": each.left_out,
        "neighbors": [{**token_json(near.token), "cosine": near.cosine} for near in each.found],
    }
    if each.context is None:
        return value
    return value | {
        "context": each.context,
        "position": each.position,
        "layer": each.layer,
        "cosine_with_own_embedding": each.own,
        "says": valued_json(each.says, "probability"),
    }
