"""The chapters of a round: which words and which of its numbers each of them has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gptcli.types.explain import Block, Round
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import plainly, visible
from gptcli.ui.views import contributions
from gptcli.ui.views.chapter import (
    Chapter,
    Meter,
    Numbers,
    Vector,
    chapter_of,
    column,
    listed,
    some_layers,
)
from gptcli.ui.views.next_tokens import drawn_cell
from gptcli.ui.views.sampling import in_words
from gptcli.ui.words import Words
from gptcli.units import percent, total_length


def chapters(
    found: Round, words: Words, *, prompt: str, seed: int, every: bool
) -> Iterator[Chapter]:
    """The chapters of a round in their order. every: all layers, however many."""
    yield _tokens(found, words)
    yield _embedding(found, words)
    chosen = some_layers(found.blocks, every=every)
    notes = []
    if len(chosen) < len({block.layer for block in found.blocks}):
        notes.append(words.label("fewer", shown=len(chosen), count=found.facts.layers))
    blocks = [block for block in found.blocks if block.layer in chosen]
    yield _attention(found, words, [b for b in blocks if b.name in ("attention", "state")], notes)
    yield _mlp(found, words, [b for b in blocks if b.name == "mlp"], notes)
    yield _layers(found, words, list({b.layer: b for b in blocks}.values()), notes)
    yield _unembedding(found, words)
    yield _softmax(found, words)
    yield _draw(found, words, seed)
    yield contributions.chapter(found, words)
    yield _again(found, words, prompt)


def _tokens(found: Round, words: Words) -> Chapter:
    columns = (
        column(words, "position", keep=1),
        column(words, "token", "token"),
        column(words, "id"),
    )
    rows = tuple(
        (str(at), visible(each.bytes), str(each.id))
        for at, each in enumerate(found.tokens, found.first)
    )
    facts = {"count": found.prompt_tokens, "vocabulary": f"{found.facts.vocabulary:,}"}
    return chapter_of(words, "tokens", facts, [Numbers(columns, rows)], _window(found, words))


def _window(found: Round, words: Words) -> list[str]:
    if len(found.tokens) == found.prompt_tokens:
        return []
    last = found.first + len(found.tokens) - 1
    return [words.label("window", first=found.first, last=last, count=found.prompt_tokens)]


def _embedding(found: Round, words: Words) -> Chapter:
    columns = (
        column(words, "token", "token"),
        column(words, "length"),
        column(words, "nearest", "list"),
    )
    rows = tuple(
        (visible(each.token.bytes), f"{each.norm:.2f}", listed(each.near, "{:.2f}"))
        for each in found.embedded
    )
    # The vector is that of the last token of all, which a window may leave out.
    shown = found.first + len(found.tokens) == found.prompt_tokens
    name = visible(found.tokens[-1].bytes) if shown else f"#{found.prompt_tokens - 1}"
    caption = words.label("vector", token=name, width=found.facts.width)
    facts = {
        "width": found.facts.width,
        "positions": words.phrase("positions", found.facts.positions),
    }
    parts = (Numbers(columns, rows), Vector(caption, found.vector))
    return chapter_of(words, "embedding", facts, parts, _window(found, words))


def _attention(
    found: Round, words: Words, blocks: Sequence[Block], notes: Sequence[str]
) -> Chapter:
    columns = (
        column(words, "layer"),
        column(words, "adds"),
        column(words, "cosine", keep=2),
        column(words, "looks", "list"),
        Column(words.label("says"), shrink=True, least=6, style="bold", keep=1),
    )
    rows = []
    for each in blocks:
        looks = listed([(token, share) for _, token, share in each.looks], "{:.0%}", 3)
        if each.state:
            looks = words.label("state", length=f"{total_length(each.state):.4g}")
        cells = (str(each.layer), f"{each.norm:.2f}", f"{each.cosine:+.2f}", looks)
        rows.append((*cells, listed(each.says, "{:.0%}", 1)))
    known = found.facts
    shared = words.phrase("shared", "some", group=known.group) if known.group > 1 else ""
    where = "some" if known.attending < known.layers else "every"
    facts: dict[str, object] = {
        "heads": known.heads,
        "where": words.phrase("where", where, attending=known.attending, layers=known.layers),
        "shared": shared,
        "carried": words.phrase("carried", "some") if known.carrying else "",
    }
    return chapter_of(words, "attention", facts, [Numbers(columns, tuple(rows))], notes)


def _mlp(found: Round, words: Words, blocks: Sequence[Block], notes: Sequence[str]) -> Chapter:
    columns = (
        column(words, "layer"),
        column(words, "adds"),
        column(words, "cosine", keep=1),
        column(words, "says", "list"),
    )
    rows = tuple(
        (str(each.layer), f"{each.norm:.2f}", f"{each.cosine:+.2f}", listed(each.says, "{:.0%}", 3))
        for each in blocks
    )
    known = found.facts
    experts = words.phrase("experts", "some", experts=known.experts) if known.experts else ""
    facts: dict[str, object] = {
        "width": known.width,
        "hidden": known.hidden,
        "experts": experts,
        "side": words.phrase("side", "some") if known.side_by_side else "",
    }
    return chapter_of(words, "mlp", facts, [Numbers(columns, rows)], notes)


def _layers(found: Round, words: Words, blocks: Sequence[Block], notes: Sequence[str]) -> Chapter:
    columns = (
        column(words, "layer"),
        column(words, "stream"),
        Column("", keep=1, style="cyan"),
        column(words, "says", "token"),
        column(words, "probability", "main"),
    )
    largest = max((each.stream_norm for each in blocks), default=1.0) or 1.0
    rows = tuple(
        (
            str(each.layer),
            f"{each.stream_norm:.1f}",
            Meter(each.stream_norm / largest),
            visible(each.says[0][0].bytes),
            percent(each.says[0][1]),
        )
        for each in blocks
    )
    facts: dict[str, object] = {"layers": found.facts.layers}
    return chapter_of(words, "layers", facts, [Numbers(columns, rows)], notes)


def _unembedding(found: Round, words: Words) -> Chapter:
    columns = (
        column(words, "position", keep=1),
        column(words, "token", "token"),
        column(words, "id", keep=2),
        column(words, "logit", "main"),
    )
    rows = tuple(
        (str(each.rank), visible(each.token.bytes), str(each.token.id), f"{each.logit:.3f}")
        for each in found.distribution.candidates
    )
    facts: dict[str, object] = {
        "vocabulary": f"{found.facts.vocabulary:,}",
        "head": words.phrase("head", "tied" if found.facts.tied else "untied"),
    }
    length = f"{found.final_norm:.1f}"
    caption = words.label("last_vector", length=length, width=found.facts.width)
    parts = (Vector(caption, found.final), Numbers(columns, rows))
    return chapter_of(words, "unembedding", facts, parts)


def _softmax(found: Round, words: Words) -> Chapter:
    temperatures = found.distribution.temperatures
    heads = [words.label("temperature", value=f"{value:g}") for value, _ in temperatures]
    columns = (column(words, "token", "token"), *(Column(head, right=True) for head in heads))
    rows: list[tuple[str | Cell | Meter, ...]] = [
        (visible(each.token.bytes), *map(percent, each.at_temperatures))
        for each in found.distribution.candidates
    ]
    entropies = (f"{spread.entropy:.2f}" for _, spread in temperatures)
    rows.append((Cell(words.label("entropy"), "dim"), *entropies))
    return chapter_of(words, "softmax", {}, [Numbers(columns, tuple(rows))])


def _draw(found: Round, words: Words, seed: int) -> Chapter:
    columns = (
        Column("", right=True),
        column(words, "token", "token"),
        column(words, "probability", "main"),
        Column(words.label("drawn"), right=True, style="green"),
        Column("", keep=1, style="green"),
    )
    candidates = list(found.distribution.candidates)
    taken = found.drawn
    if all(each.token.id != taken.token.id for each in candidates):
        candidates.append(taken)
    rows = tuple(
        (
            "→" if each.token.id == taken.token.id else "",
            visible(each.token.bytes),
            percent(each.probability),
            words.label("cut", stage=each.cut_by) if each.cut_by else drawn_cell(each).text,
            Meter(0.0 if each.cut_by else each.drawn or 0.0),
        )
        for each in candidates
    )
    facts = {
        "sampling": in_words(found.distribution.sampling),
        "seed": seed,
        "token": visible(taken.token.bytes),
        "probability": percent(taken.probability),
        "drawn": percent(taken.drawn),
    }
    return chapter_of(words, "draw", facts, [Numbers(columns, rows)])


def _again(found: Round, words: Words, prompt: str) -> Chapter:
    ends = found.drawn.ends
    text = prompt + found.text + ("" if ends else found.drawn.token.text)
    state = words.phrase("state", "end" if ends else "more", text=plainly(text))
    return chapter_of(words, "again", {"state": state})
