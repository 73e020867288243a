"""Activations of one prompt in the run of another, for programs: rows, JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gptcli.types.patch import Direction, Patched, Patching, Place
from gptcli.ui.data.values import finite, number, tokens_json
from gptcli.ui.data.writer import Row
from gptcli.ui.views import odds, source

#: What each way to align means, for people and for programs.
RULES = {
    "tokens": "aligned: the tokens that both prompts begin with and end with, and what is between"
    " from its beginning on, as far as both have it",
    "left": "aligned: tokens at the same position, counted from the beginning",
    "right": "aligned: tokens at the same position, counted from the end",
}


def by_strength(found: Patching, direction: Direction) -> list[tuple[Place, Patched]]:
    """What is known of a direction, what moves the most first."""
    known = found.of(direction).items()
    return sorted(known, key=lambda pair: -odds.size_of(found.moved(pair[1]) or 0.0))


def every(found: Patching) -> Iterator[tuple[Direction, Place, Patched | None]]:
    """All patches in their order, None where one was not come to."""
    for direction in found.asked.request.directions:
        known = found.of(direction)
        for place in found.asked.places:
            yield direction, place, known.get(place)


def rows(found: Patching) -> Iterator[Row]:
    """Cells under heads, a row for each patch; those that were not come to have no numbers."""
    asked = found.asked
    versus = asked.versus is not None
    heads = ["direction", "layer", "head", "clean_position", "clean_token", "corrupt_position"]
    heads += ["corrupt_token", "normalized", "value", "probability", "logprob"]
    yield heads + (["versus_probability", "versus_logprob"] if versus else [])
    for direction, place, each in every(found):
        cells: list[str | bytes] = [direction, layer_name(place.layer)]
        cells += ["" if place.head is None else str(place.head), *_tokens(found, place)]
        if each is None:
            yield [*cells, *[""] * (6 if versus else 4)]
            continue
        after = odds.both(each.odds, versus=versus)
        cells += [number(found.share(each)), number(each.odds.value)]
        for name in ("target", "versus") if versus else ("target",):
            cells += [number(after[name]["probability"]), number(after[name]["logprob"])]
        yield cells


def layer_name(layer: int) -> str:
    """A layer's number, or `embed` for what stands before the first."""
    return "embed" if layer < 0 else str(layer)


def _tokens(found: Patching, place: Place) -> list[str | bytes]:
    if place.pair is None:
        return ["all", b"", "all", b""]
    one, other = found.asked.pairs[place.pair]
    return [
        *(str(one), found.asked.clean[one].bytes),
        *(str(other), found.asked.corrupt[other].bytes),
    ]


def as_json(found: Patching) -> dict[str, Any]:
    """One object; `patches` are in the order in which they were made, `pair` being the place of
    their positions among `pairs`, null for all at once.

    What was not come to has nulls. A number that JSON has not becomes null as well.
    """
    asked, request = found.asked, found.asked.request
    versus = asked.versus is not None
    return {
        "object": "patching",
        **source.fields(asked.source),
        "at": request.at,
        "layers": asked.layers,
        "target": odds.following(asked.target) | {"likeliest": asked.likeliest},
        "versus": None if asked.versus is None else odds.following(asked.versus),
        "clean": {
            "prompt": request.clean,
            "tokens": tokens_json(0, asked.clean),
            "value": finite(asked.odds.value),
            **odds.both(asked.odds, versus=versus),
        },
        "corrupt": {
            "prompt": request.corrupt,
            "tokens": tokens_json(0, asked.corrupt),
            "value": finite(asked.corrupt_odds.value),
            **odds.both(asked.corrupt_odds, versus=versus),
        },
        "align": request.align,
        "pairs": [{"clean": one, "corrupt": other} for one, other in asked.pairs],
        "together": request.together,
        "with_target": asked.with_target,
        "partial": found.partial,
        "patches": [
            {
                "direction": direction,
                "layer": place.layer,
                "pair": place.pair,
                "head": place.head,
                "normalized": None if each is None else finite(found.share(each)),
                "value": None if each is None else finite(each.odds.value),
                **odds.both(None if each is None else each.odds, versus=versus),
            }
            for direction, place, each in every(found)
        ],
    }
