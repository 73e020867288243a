"""An explanation: chapter after chapter, or page by page with keys; rows; JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, TextIO

from gptcli.types.explain import Block, Round
from gptcli.ui.data.values import looks_json, number, token_json, tokens_json, valued_json
from gptcli.ui.data.writer import Row
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.bars import bar
from gptcli.ui.terminal.heat import Heat
from gptcli.ui.terminal.keys import Keys
from gptcli.ui.terminal.tables import Cell, lines
from gptcli.ui.terminal.visible import neutral, shortened
from gptcli.ui.terminal.wrap import wrapped
from gptcli.ui.terminal.writer import TerminalWriter, height_of, plain_console, width_of
from gptcli.ui.views import contributions, next_tokens, source, what_if
from gptcli.ui.views.chapter import Chapter, Meter, Numbers, Vector
from gptcli.ui.views.source import where
from gptcli.ui.views.what_if import WhatIf
from gptcli.ui.words import Words
from gptcli.units import total_length

#: Words are easier to read in lines that are not too long.
_WORDS = 100


def show(stream: TextIO, number: int, chapters: Iterable[Chapter]) -> None:
    """Print the chapters of a round."""
    writer = TerminalWriter(stream)
    for place, chapter in enumerate(chapters, 1):
        for line in [*chapter_lines(stream, f"{number}.{place}", chapter), paint.Text("")]:
            writer.line(line)


def source_line(found: Round) -> str:
    """Which model this was."""
    return where(found.distribution.source)


def chapter_lines(stream: TextIO, name: str, chapter: Chapter) -> list[paint.Text]:
    """A chapter as lines that fit the terminal."""
    width = width_of(stream)
    found = [paint.Text(line, style="bold") for line in wrapped(f"{name}  {chapter.title}", width)]
    for text in chapter.lines:
        found += [paint.Text(line) for line in wrapped(neutral(text), min(width, _WORDS))]
    for part in chapter.parts:
        found.append(paint.Text(""))
        if isinstance(part, Vector):
            found += [paint.Text(line, style="dim") for line in wrapped(part.caption, width)]
            found += Heat(stream).strip(part.values, min(width, _WORDS))
        else:
            found += [paint.Text(line, style="dim") for line in wrapped(part.caption, width)]
            found += _table(part, width)
    for note in chapter.notes:
        found += [paint.Text(line, style="dim") for line in wrapped(note, width)]
    return found


def _table(part: Numbers, width: int) -> list[paint.Text]:
    length = min(max(width // 4, 6), 30)
    cells: list[list[str | Cell]] = [
        [bar(abs(cell.share), length) if isinstance(cell, Meter) else cell for cell in row]
        for row in part.rows
    ]
    return lines(part.columns, cells, width)


def turn_pages(
    stream: TextIO, keys: Keys, rounds: Iterator[Sequence[tuple[str, Chapter]]], words: Words
) -> None:
    """Show one chapter at a time; a round is computed when its first page is turned to.

    On the alternate screen, which is gone without a trace when the person leaves.
    """
    # Not the size of now: the terminal may be resized.
    console = plain_console(stream)
    known: list[tuple[str, Chapter]] = list(next(rounds, ()))
    ended = False
    place, part = 0, 0
    with paint.Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            name, chapter = known[place]
            screens = _screens(stream, name, chapter)
            part = min(part, len(screens) - 1)
            # Nobody knows how many pages there will be while more rounds may come.
            pages = f"{len(known)}" if ended else f"{len(known)}…"
            foot = words.label("keys", page=place + 1, pages=pages)
            live.update(_page(screens[part], foot, stream), refresh=True)
            key = keys.read()
            if key == "leave":
                return
            if key in ("right", "down", "enter", "space"):
                if part + 1 < len(screens):
                    part += 1
                    continue
                if place + 1 == len(known):
                    more = next(rounds, None)
                    ended = more is None
                    known += more or ()
                if place + 1 < len(known):
                    place, part = place + 1, 0
            elif key in ("left", "up"):
                if part:
                    part -= 1
                elif place:
                    place -= 1
                    part = len(_screens(stream, *known[place])) - 1
            elif key == "first":
                place, part = 0, 0
            elif key == "last":
                place, part = len(known) - 1, 0


def _screens(stream: TextIO, name: str, chapter: Chapter) -> list[list[paint.Text]]:
    """A chapter cut into what the screen holds at once, its title over each."""
    found = chapter_lines(stream, name, chapter)
    room = max(height_of(stream) - 3, 2)
    head, rest = found[:1], found[1:]
    return [head + rest[at : at + room] for at in range(0, max(len(rest), 1), room)]


def _page(screen: Sequence[paint.Text], foot: str, stream: TextIO) -> paint.Group:
    parts = [
        *screen,
        paint.Text(""),
        paint.Text(shortened(foot, width_of(stream) - 1), style="dim"),
    ]
    for part in parts:
        part.no_wrap, part.overflow, part.end = True, "crop", "\n"
    # The alternate screen has as many lines as there are: none may be too many.
    return paint.Group(*parts[-height_of(stream) :])


#: Stages whose rows say what is in a layer in their place.
_SAME = {"state": "attention", "told": "mlp"}


def rows(found: Round, only: Collection[str] = ()) -> Iterator[Row]:
    """A row for each number: `round stage layer position token name value`; heads first.

    only: of these stages, of none for all.
    """
    for place, row in enumerate(_rows(found)):
        head = found.number == 1 and place == 0
        if head or not only or _SAME.get(str(row[1]), row[1]) in only:
            yield row


def _rows(found: Round) -> Iterator[Row]:
    if found.number == 1:
        yield ("round", "stage", "layer", "position", "token", "name", "value")

    def row(
        stage: str, name: str, value: float | None, *, layer: int | str = "", at: int | str = "",
        token: bytes = b"",
    ) -> Row:  # fmt: skip
        return (str(found.number), stage, str(layer), str(at), token, name, number(value))

    for at, each in enumerate(found.embedded, found.first):
        text = each.token.bytes
        yield row("tokens", "id", each.token.id, at=at, token=text)
        yield row("embedding", "norm", each.norm, at=at, token=text)
    last = found.prompt_tokens - 1
    for block in found.blocks:
        for name, value in (("norm", block.norm), ("cosine", block.cosine)):
            yield row(block.name, name, value, layer=block.layer, at=last)
        if block.state:
            length = total_length(block.state)
            yield row(block.name, "state_length", length, layer=block.layer, at=last)
        for at, token, share in block.looks:
            yield row(block.name, "weight", share, layer=block.layer, at=at, token=token.bytes)
        for token, share in block.says:
            yield row(block.name, "says", share, layer=block.layer, at=last, token=token.bytes)
    for candidate in found.distribution.candidates:
        text = candidate.token.bytes
        yield row("unembedding", "logit", candidate.logit, at=last, token=text)
        yield row("softmax", "probability", candidate.probability, at=last, token=text)
        yield row("draw", "probability", candidate.drawn, at=last, token=text)
    yield row("draw", "drawn", found.drawn.token.id, token=found.drawn.token.bytes)
    for part, adds, layer, place, text in contributions.named_rows(found):
        yield row("parts", part, adds, layer=layer, at=place, token=text)


def as_json(
    prompt: str, seed: int, rounds: Sequence[Round], replaced: WhatIf | None = None
) -> dict[str, Any]:
    """All rounds of a walk, and the text that was drawn; what would be with a word replaced."""
    last = rounds[-1]
    text = last.text if last.drawn.ends else last.text + last.drawn.token.text
    other = (
        {} if replaced is None else {"what_if": what_if.as_json(replaced, _round(replaced.walk))}
    )
    return {
        "object": "explanation",
        **source.fields(last.distribution.source),
        "prompt": prompt,
        "seed": seed,
        "text": text,
        "facts": asdict(last.facts),
        "rounds": [_round(each) for each in rounds],
        **other,
    }


def _round(each: Round) -> dict[str, Any]:
    near = [
        {**one, "norm": embedded.norm, "nearest": valued_json(embedded.near, "cosine")}
        for one, embedded in zip(tokens_json(each.first, each.tokens), each.embedded, strict=True)
    ]
    return {
        "round": each.number,
        "prompt_tokens": each.prompt_tokens,
        "tokens": near,
        "embedding": each.vector,
        "blocks": [_block(block) for block in each.blocks],
        "last_vector": each.final,
        "sum_error": each.sum_error,
        "distribution": next_tokens.as_json(each.distribution, stages=True),
        "drawn": {
            **token_json(each.drawn.token),
            "rank": each.drawn.rank,
            "probability": each.drawn.probability,
            "drawn_probability": each.drawn.drawn,
            "ends": each.drawn.ends,
        },
        "parts": contributions.as_json(each),
    }


def _block(each: Block) -> dict[str, Any]:
    looks = looks_json(each.looks)
    value: dict[str, Any] = {
        "layer": each.layer,
        "block": each.name,
        "norm": each.norm,
        "cosine": each.cosine,
        "stream_norm": each.stream_norm,
        "says": valued_json(each.says, "probability"),
    }
    if each.state:
        value["state_lengths"] = each.state
    return value | {"looks_at": looks} if looks else value
