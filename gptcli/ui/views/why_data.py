"""On which parts of a prompt an answer hangs, for programs: rows, JSON; the strongest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gptcli.types.why import Part, Why, Without
from gptcli.ui.data.values import finite, number, token_json, tokens_json
from gptcli.ui.data.writer import Row
from gptcli.ui.views import odds, source
from gptcli.ui.views.odds import size_of


def by_strength(why: Why) -> list[Without]:
    """Single parts, the largest change first, of equals the one that stands first."""
    return sorted(why.singles, key=lambda each: -size_of(why.change(each)))


def by_interaction(why: Why) -> list[tuple[Without, float]]:
    """Pairs with their interactions, the largest first."""
    interactions = why.interactions
    found = [(each, interactions[each.parts[0], each.parts[1]]) for each in why.pairs]
    return sorted(found, key=lambda pair: -size_of(pair[1]))


def rows(why: Why) -> Iterator[Row]:
    """Cells under heads: a row for each part and then for each pair, the strongest first.

    Those that were not come to are there, without numbers.
    """
    asked = why.asked
    paired, versus = asked.request.pairs, asked.versus is not None
    heads = ["position", "tokens", "text"]
    heads += ["other_position", "other_tokens", "other_text"] if paired else []
    heads += ["change", *(["interaction"] if paired else [])]
    yield heads + odds.heads(versus=versus)
    for each in by_strength(why):
        numbers = [number(why.change(each)), *([""] if paired else [])]
        yield [*_names(why, each.parts), *numbers, *odds.cells(asked.odds, each.odds)]
    for each, interaction in by_interaction(why):
        numbers = [number(why.change(each)), number(interaction)]
        yield [*_names(why, each.parts), *numbers, *odds.cells(asked.odds, each.odds)]
    for parts in why.unknown:
        empty = [""] * (1 + paired)
        yield [*_names(why, parts), *empty, *odds.cells(asked.odds, None)]


def _names(why: Why, parts: Sequence[int]) -> list[str | bytes]:
    found: list[str | bytes] = []
    for at in parts:
        part = why.asked.parts[at]
        found += [str(part.first), str(len(part.tokens)), part.bytes]
    return found + [""] * (3 if why.asked.request.pairs and len(parts) == 1 else 0)


def as_json(why: Why) -> dict[str, Any]:
    """One object; `parts` and `pairs` are the strongest first, `index` is a part's place.

    What was not come to has nulls. A number that JSON has not becomes null as well.
    """
    asked, request = why.asked, why.asked.request
    return {
        "object": "why",
        **source.fields(asked.source),
        "prompt": request.prompt,
        "prompt_tokens": len(asked.tokens),
        "as_chat": request.as_chat,
        "by": request.by,
        "replace": None if asked.put is None else token_json(asked.put),
        "target": odds.following(asked.target) | {"likeliest": asked.likeliest},
        "versus": None if asked.versus is None else odds.following(asked.versus),
        "value": finite(asked.odds.value),
        "partial": why.partial,
        "tokens": tokens_json(0, asked.tokens),
        "parts": [
            *(_single(why, each.parts, each) for each in by_strength(why)),
            *(_single(why, each, None) for each in why.unknown if len(each) == 1),
        ],
        "pairs": _pairs(why) if request.pairs else None,
    }


def _single(why: Why, parts: Sequence[int], known: Without | None) -> dict[str, Any]:
    (index,) = parts
    return {"index": index, **_part(why.asked.parts[index]), **_changed(why, known)}


def _part(part: Part) -> dict[str, Any]:
    text = part.bytes.decode(errors="replace")
    return {"position": part.first, "tokens": len(part.tokens), "text": text}


def _changed(why: Why, known: Without | None) -> dict[str, Any]:
    after, versus = None if known is None else known.odds, why.asked.versus is not None
    change = None if known is None else finite(why.change(known))
    return {"change": change, **odds.both(after, versus=versus)}


def _pairs(why: Why) -> list[dict[str, Any]]:
    unknown = (each for each in why.unknown if len(each) == 2)
    every: list[tuple[Sequence[int], Without | None, float | None]] = [
        *((each.parts, each, value) for each, value in by_interaction(why)),
        *((parts, None, None) for parts in unknown),
    ]
    return [
        {"parts": list(parts), "interaction": finite(value), **_changed(why, known)}
        for parts, known, value in every
    ]
