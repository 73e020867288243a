"""One word of the prompt replaced: both walks beside each other, as a chapter, rows and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gptcli.plain import dataclass
from gptcli.types.explain import WHAT_IF, Block, Round
from gptcli.types.what_if import Aligned, Parted
from gptcli.ui.data.values import number, token_json
from gptcli.ui.data.writer import Row
from gptcli.ui.terminal.tables import Column
from gptcli.ui.terminal.visible import plainly, shortened, visible
from gptcli.ui.views.chapter import (
    LAYERS,
    Chapter,
    Meter,
    Numbers,
    chapter_of,
    column,
    listed,
    some_layers,
)
from gptcli.ui.words import Words
from gptcli.units import UNKNOWN, percent, total_length

#: How much of a replaced text stands over a column.
_HEAD = 18
#: How many tokens are told of where nobody asked for all: of the first and of the last.
_TOKENS = (5, 3)


@dataclass(frozen=True)
class WhatIf:
    """old is replaced by new, which makes another prompt; walk: that one's first round."""

    old: str
    new: str
    prompt: str
    walk: Round
    parted: Parted


def chapter(found: Round, what_if: WhatIf, words: Words, *, every: bool) -> Chapter:
    """The chapter: what either expects, how far they part, where they look, what they would say."""
    sides = (found, what_if.walk)
    layers = some_layers(found.blocks, every=every)
    aligned = what_if.parted.aligned if every else _some(what_if.parted.aligned)
    parts = [
        _expected(what_if, words),
        _cosines(aligned, layers, words),
        _looks(sides, layers, what_if, words),
        _says(sides, layers, what_if, words),
    ]
    return chapter_of(
        words,
        WHAT_IF,
        _facts(found, what_if, words),
        [part for part in parts if part.rows],
        list(_notes(found, what_if, aligned, layers, words)),
    )


def _facts(found: Round, what_if: WhatIf, words: Words) -> dict[str, object]:
    parted = what_if.parted
    moved = parted.prompt_tokens != parted.other_tokens
    placed = found.facts.positions == "table" and moved
    return {
        "old": plainly(what_if.old),
        "new": _quoted(what_if.new, words),
        "prompt": plainly(what_if.prompt),
        "before": parted.before,
        "behind": parted.behind,
        "start": words.phrase("start", "moved" if placed else "same"),
    }


def _quoted(text: str, words: Words) -> str:
    return words.label("quoted", text=plainly(text)) if text else words.label("nothing")


def _notes(
    found: Round, what_if: WhatIf, aligned: Sequence[Aligned], layers: Sequence[int], words: Words
) -> Iterator[str]:
    count = len({block.layer for block in found.blocks})
    if len(layers) < count:
        yield words.label("fewer", shown=len(layers), count=found.facts.layers)
    every = len(what_if.parted.aligned)
    if len(aligned) < every:
        yield words.label("fewer_tokens", shown=len(aligned), count=every)


def _some(aligned: Sequence[Aligned]) -> Sequence[Aligned]:
    first, last = _TOKENS
    return aligned if len(aligned) <= first + last else [*aligned[:first], *aligned[-last:]]


def _heads(what_if: WhatIf, words: Words) -> tuple[str, str]:
    new = what_if.new or words.label("nothing")
    return shortened(plainly(what_if.old), _HEAD), shortened(plainly(new), _HEAD)


def _expected(what_if: WhatIf, words: Words) -> Numbers:
    old, new = _heads(what_if, words)
    columns = (
        column(words, "token", "token"),
        Column(old, right=True, style="cyan"),
        Column("", keep=1, style="cyan"),
        Column(new, right=True, style="green"),
        Column("", keep=1, style="green"),
    )
    rows = tuple(
        (
            visible(each.token.bytes),
            percent(each.probability),
            Meter(each.probability),
            percent(each.other),
            Meter(each.other),
        )
        for each in what_if.parted.expected
    )
    return Numbers(columns, rows, words.label("expected"))


def _cosines(aligned: Sequence[Aligned], layers: Sequence[int], words: Words) -> Numbers:
    """A row for each token; where layers are many, for each of them."""
    names = [_name(each) for each in aligned]
    heads = [words.label("start"), *map(str, layers)]
    values = [[each.start, *(each.cosines[layer] for layer in layers)] for each in aligned]
    cells = [[f"{value:.2f}" for value in row] for row in values]
    caption = words.label("parted")
    if len(layers) > LAYERS:
        columns = (column(words, "layer"), *(Column(name, right=True) for name in names))
        turned = zip(heads, *cells, strict=True)
        return Numbers(columns, tuple(turned) if names else (), caption)
    # The first and the last always stay, and of the others every second one longer.
    keeps = [0, *(1 + at % 2 for at in range(1, len(layers))), 0][: len(heads)]
    numbers = [Column(head, right=True, keep=keep) for head, keep in zip(heads, keeps, strict=True)]
    rows = tuple((name, *row) for name, row in zip(names, cells, strict=True))
    return Numbers((column(words, "token", "token"), *numbers), rows, caption)


def _name(each: Aligned) -> str:
    one, other = visible(each.token.bytes), visible(each.other_token.bytes)
    return one if each.token.id == each.other_token.id else f"{one}/{other}"


def _looks(
    sides: tuple[Round, Round], layers: Sequence[int], what_if: WhatIf, words: Words
) -> Numbers:
    columns = (
        column(words, "layer"),
        *(Column(head, shrink=True, least=8) for head in _heads(what_if, words)),
    )
    pairs = _pairs(sides, layers, ("attention", "state"))
    rows = [(str(one.layer), _look(one, words), _look(other, words)) for one, other in pairs]
    return Numbers(columns, tuple(rows), words.label("looks_of_last"))


def _look(block: Block, words: Words) -> str:
    if block.state:
        return words.label("state", length=f"{total_length(block.state):.4g}")
    return listed([(token, share) for _, token, share in block.looks], "{:.0%}", 3)


def _says(
    sides: tuple[Round, Round], layers: Sequence[int], what_if: WhatIf, words: Words
) -> Numbers:
    columns = (
        column(words, "layer"),
        column(words, "cosine", keep=1),
        *(Column(head, shrink=True, least=8) for head in _heads(what_if, words)),
    )
    aligned = what_if.parted.aligned
    found = {one.layer: (one, other) for one, other in _pairs(sides, layers)}
    rows = [
        (
            str(layer),
            f"{aligned[-1].cosines[layer]:.2f}" if aligned else UNKNOWN,
            *(listed(block.says, "{:.0%}", 2) for block in pair),
        )
        for layer, pair in found.items()
    ]
    return Numbers(columns, tuple(rows), words.label("says_of_last"))


def _pairs(
    sides: tuple[Round, Round], layers: Sequence[int], names: Sequence[str] | None = None
) -> Iterator[tuple[Block, Block]]:
    for one, other in zip(sides[0].blocks, sides[1].blocks, strict=True):
        if one.layer in layers and (names is None or one.name in names):
            yield one, other


def rows(found: Round, what_if: WhatIf) -> Iterator[Row]:
    """Rows as of the other stages; what is of the replaced prompt is named `other_…`."""
    parted, walk = what_if.parted, what_if.walk

    def row(
        name: str, value: float, layer: int | str = "", at: int | str = "", token: bytes = b""
    ) -> Row:
        return (str(found.number), WHAT_IF, str(layer), str(at), token, name, number(value))

    ends = found.prompt_tokens - 1, walk.prompt_tokens - 1
    yield row("shared_before", parted.before)
    yield row("shared_behind", parted.behind)
    for each in parted.expected:
        text = each.token.bytes
        yield row("probability", each.probability, at=ends[0], token=text)
        yield row("other_probability", each.other, at=ends[1], token=text)
    for place in parted.aligned:
        yield row("start_cosine", place.start, at=place.position, token=place.token.bytes)
        for layer, cosine in enumerate(place.cosines):
            yield row("cosine", cosine, layer, place.position, place.token.bytes)
    for block in walk.blocks:
        for at, token, share in block.looks:
            yield row("other_weight", share, block.layer, at, token.bytes)
        if block.name in ("mlp", "told"):
            for token, share in block.says:
                yield row("other_says", share, block.layer, ends[1], token.bytes)


def as_json(what_if: WhatIf, walk: dict[str, Any]) -> dict[str, Any]:
    """walk: the other round as JSON."""
    parted = what_if.parted
    return {
        "old": what_if.old,
        "new": what_if.new,
        "prompt": what_if.prompt,
        "prompt_tokens": parted.other_tokens,
        "shared_before": parted.before,
        "shared_behind": parted.behind,
        "expected": [
            {
                **token_json(each.token),
                "probability": each.probability,
                "other_probability": each.other,
            }
            for each in parted.expected
        ],
        "aligned": [
            {
                "position": each.position,
                **token_json(each.token),
                "other": {"position": each.other_position, **token_json(each.other_token)},
                "start_cosine": each.start,
                "cosines": each.cosines,
            }
            for each in parted.aligned
        ],
        "round": walk,
    }
