"""An explanation as a page: the chapters below each other, with all their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gptcli.types.shapes import Shapes
from gptcli.ui.pages.page import Spot, grid, meter, page, paragraph, table, text
from gptcli.ui.pages.walk import Told, data, walk
from gptcli.ui.terminal.heat import shares_of
from gptcli.ui.terminal.tables import Cell
from gptcli.ui.terminal.visible import plainly
from gptcli.ui.views.chapter import Chapter, Meter, Numbers, Vector
from gptcli.ui.words import Words

#: Features of a vector in one line of its strip.
_LINE = 48


def explanation(prompt: str, rounds: Sequence[tuple[Told, Sequence[Chapter]]], words: Words) -> str:
    """The page of all rounds: what can be stepped through, and the chapters below it."""
    parts = [paragraph(plainly(prompt), "prompt")]
    for number, (told, chapters) in enumerate(rounds):
        if len(rounds) > 1:
            parts.append(f"<h2>{text(words.label('round', number=number + 1))}</h2>")
        parts += walk(told, number, words)
        for place, each in enumerate(chapters, 1):
            parts += _chapter(each, f"{number + 1}.{place}  ")
    found = [told for told, _ in rounds]
    return page(
        words.label("explain"),
        found[-1].round.distribution.source,
        parts,
        data=data(found, words),
        script="walk.js",
        lang=words.language,
    )


def shapes(found: Shapes, chapter: Chapter, words: Words) -> str:
    """The page of a model's tensors."""
    return page(chapter.title, found.source, list(_chapter(chapter, "")), lang=words.language)


def _chapter(chapter: Chapter, number: str) -> Iterator[str]:
    yield f"<section><h2>{text(number + chapter.title)}</h2>"
    for line in chapter.lines:
        yield paragraph(line)
    for part in chapter.parts:
        yield from _vector(part) if isinstance(part, Vector) else [_numbers(part)]
    for note in chapter.notes:
        yield paragraph(note, "quiet")
    yield "</section>"


def _vector(part: Vector) -> Iterator[str]:
    """Colours as on a terminal."""
    yield paragraph(part.caption, "quiet")
    shares = shares_of(part.values)
    spots = [
        Spot("", share, f"{at}: {value:.4f}")
        for at, (share, value) in enumerate(zip(shares, part.values, strict=True))
    ]
    rows = [(str(at), spots[at : at + _LINE]) for at in range(0, len(spots), _LINE)]
    yield grid(part.caption, (), rows, kind="strip")


def _numbers(part: Numbers) -> str:
    caption = paragraph(part.caption, "quiet") if part.caption else ""
    heads = [text(column.head) for column in part.columns]
    right = [at for at, column in enumerate(part.columns) if column.right]
    rows = [[_cell(cell) for cell in row] for row in part.rows]
    return caption + table(heads, rows, numbers=right)


def _cell(cell: str | Cell | Meter) -> str:
    if isinstance(cell, Meter):
        return meter(cell.share, f"{cell.share:.1%}")
    content = cell.text if isinstance(cell, Cell) else cell
    return f"<bdi>{text(content)}</bdi>"
