"""What is left while parts of a model are off, for programs: rows, JSON; the strongest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gptcli.types.ablate import Ablated, Ablation
from gptcli.types.model_part import ModelPart
from gptcli.ui.data.values import finite, number, token_json, tokens_json
from gptcli.ui.data.writer import Row
from gptcli.ui.views import odds, source


def by_strength(found: Ablation) -> list[Ablated]:
    """The steps that are known, the largest change first, of equals the one that stands first."""
    return sorted(found.found, key=lambda each: -odds.size_of(found.change(each)))


def name_of(parts: Sequence[ModelPart]) -> str:
    """`9.6`; `9.6 + 10.0` for several together."""
    return " + ".join(part.name for part in parts)


def rows(found: Ablation) -> Iterator[Row]:
    """Cells under heads, a row for each step; those that were not come to have no numbers."""
    asked = found.asked
    heads = ["part", "kind", "layer", "index", "token", "change"]
    yield heads + odds.heads(versus=asked.versus is not None)
    for each in by_strength(found):
        change = number(found.change(each))
        yield [*_names(found, each.step), change, *odds.cells(asked.odds, each.odds)]
    for step in found.unknown:
        yield [*_names(found, step), "", *odds.cells(asked.odds, None)]


def _names(found: Ablation, step: int) -> list[str | bytes]:
    parts = found.asked.steps[step]
    if len(parts) > 1:
        return [name_of(parts), "together", "", "", b""]
    (part,) = parts
    numbers = ["" if each is None else str(each) for each in (part.layer, part.index)]
    token = b""
    if part.kind == "position" and part.index is not None:
        token = found.asked.tokens[part.index].bytes
    return [part.name, part.kind, *numbers, token]


def as_json(found: Ablation) -> dict[str, Any]:
    """One object; `steps` are the strongest first, `index` being a step's place.

    What was not come to has nulls. A number that JSON has not becomes null as well.
    """
    asked, request = found.asked, found.asked.request
    off = request.off
    known = by_strength(found)
    return {
        "object": "ablation",
        **source.fields(asked.source),
        "prompt": request.prompt,
        "prompt_tokens": len(asked.tokens),
        "layers": asked.layers,
        "each": request.each,
        "with": off.put,
        "seed": off.seed if off.put == "resample" else None,
        "reference_tokens": asked.reference_tokens,
        "window": [off.window.start, off.window.stop] if off.window.asked else None,
        "off": [part.name for part in asked.always],
        "target": odds.following(asked.target) | {"likeliest": asked.likeliest},
        "versus": None if asked.versus is None else odds.following(asked.versus),
        "value": finite(asked.odds.value),
        "value_with_nothing_off": finite((asked.whole or asked.odds).value),
        "partial": found.partial,
        "tokens": tokens_json(0, asked.tokens),
        "steps": [
            *(_step(found, each.step, each) for each in known),
            *(_step(found, step, None) for step in found.unknown),
        ],
    }


def _step(found: Ablation, step: int, known: Ablated | None) -> dict[str, Any]:
    after, versus = None if known is None else known.odds, found.asked.versus is not None
    return {
        "index": step,
        "parts": [_part(found, part) for part in found.asked.steps[step]],
        "change": None if known is None else finite(found.change(known)),
        **odds.both(after, versus=versus),
    }


def _part(found: Ablation, part: ModelPart) -> dict[str, Any]:
    value: dict[str, Any] = {"part": part.name, "kind": part.kind, "layer": part.layer}
    if part.index is not None:
        value[part.kind] = part.index
    if part.kind == "position" and part.index is not None:
        value |= token_json(found.asked.tokens[part.index])
    return value
