"""The tensors of a model and of a pass: a chapter of an explanation, rows, JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from gptcli.types.shapes import Flow, Part, Shapes
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.views import source
from gptcli.ui.views.chapter import Chapter, Numbers
from gptcli.ui.words import Words


def chapter(found: Shapes, words: Words) -> Chapter:
    """Two tables: parts, which sum to the model, and what a prompt makes."""
    columns = (
        Column(words.label("part"), shrink=True, least=12, style="bold"),
        Column(words.label("layer"), keep=1, style="dim"),
        Column(words.label("shape"), right=True, keep=2),
        Column(words.label("times"), right=True, keep=3),
        Column(words.label("parameters"), right=True, style="cyan"),
    )
    rows: list[tuple[str | Cell, ...]] = [
        (each.name, span(each), _shape(each.shape), str(each.times), f"{each.parameters:,}")
        for each in found.parts
    ]
    total = f"{found.parameters:,}"
    rows.append((Cell(words.label("total"), "dim"), "", "", "", Cell(total, "bold")))
    flow = (
        Column(words.label("part"), shrink=True, least=12, style="bold"),
        Column(words.label("shape"), right=True),
        Column("", keep=1, style="dim"),
    )
    tensors = tuple(
        (
            words.phrase("flow", each.name),
            _shape(each.shape),
            _layers(found, each, words),
        )
        for each in found.flow
    )
    facts: dict[str, object] = {
        "tied": words.phrase("tied", "tied" if found.tied else "untied"),
        "count": found.prompt_tokens,
    }
    lines = tuple(words.lines("shapes", **facts))
    parts = (Numbers(columns, tuple(rows)), Numbers(flow, tensors))
    return Chapter("shapes", words.title("shapes"), lines, parts)


def _layers(found: Shapes, each: Flow, words: Words) -> str:
    if len(each.layers) in (0, found.layers):
        return words.label("each_layer") if each.layers else ""
    return words.label("in_layers", count=len(each.layers), layers=found.layers)


def span(part: Part | Flow) -> str:
    """`0–29` of layers that follow each other, else how each is called."""
    layers = part.layers
    if len(layers) > 1 and layers == tuple(range(layers[0], layers[-1] + 1)):
        return f"{layers[0]}–{layers[-1]}"
    return ",".join(map(str, layers))


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def rows(found: Shapes) -> Iterator[tuple[str, ...]]:
    """Cells under heads: the parts, their sum, then the tensors of the pass."""
    yield ("kind", "name", "layers", "shape", "times", "parameters")
    for each in found.parts:
        shape = "x".join(map(str, each.shape))
        yield ("part", each.name, span(each), shape, str(each.times), str(each.parameters))
    yield ("total", "", "", "", "", str(found.parameters))
    for tensor in found.flow:
        shape = "x".join(map(str, tensor.shape))
        layers = "" if len(tensor.layers) == found.layers else span(tensor)
        yield ("tensor", tensor.name, layers, shape, str(len(tensor.layers) or 1), "")


def as_json(found: Shapes) -> dict[str, Any]:
    """Parts and the tensors of the pass."""
    return {
        "object": "shapes",
        **source.fields(found.source),
        "prompt_tokens": found.prompt_tokens,
        "layers": found.layers,
        "parameters": found.parameters,
        "tied": found.tied,
        "parts": [asdict(each) for each in found.parts],
        "tensors": [
            asdict(each) | {"each_layer": len(each.layers) == found.layers} for each in found.flow
        ],
    }
