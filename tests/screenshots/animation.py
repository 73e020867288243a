"""Frames of a terminal → one SVG that plays them by itself, without a script.

Frames lie side by side on a reel, which a CSS animation pulls past a window step by step. Rows that
are alike are drawn once. What does not animate, and who wants no motion, gets one of the frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from pyte.screens import Char

from tests.screenshots.recording import COLUMNS, ROWS, Frame, Row

#: Of a character, in pixels; whatever the reader's font is, text is fitted to it.
_WIDTH, _HEIGHT, _BASELINE, _SIZE = 8.4, 18, 13.5, 14
_MARGIN, _BAR = 14, 30
#: A dark terminal with a border, which stands out from a light page and from a dark one.
_GROUND, _TEXT, _BORDER = "#0d1117", "#e6edf3", "#57606a"
_FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_NAMED = {
    "black": "#0d1117",
    "red": "#ff7b72",
    "green": "#7ee787",
    "brown": "#e3b341",
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#56d4dd",
    "white": "#e6edf3",
    "brightblack": "#9198a1",
}
#: Blocks are drawn, since fonts leave gaps between them: how much of its cell each fills.
_PARTS = {"▀": (1, 0.5)} | {c: (eighths / 8, 1) for eighths, c in enumerate("▏▎▍▌▋▊▉█", 1)}


def svg(frames: Sequence[Frame], poster: int, title: str, first: int = 0) -> str:
    """The picture; it begins at frame `first`, and `poster` is what stands still."""
    width, height = round(COLUMNS * _WIDTH), ROWS * _HEIGHT
    names: dict[Row, str] = {}
    reel = []
    for number, frame in enumerate(frames):
        reel.append(f'<g transform="translate({number * width})">')
        for y, row in enumerate(frame.rows):
            if any(cell.data.strip() or cell.reverse or cell.bg != "default" for cell in row):
                name = names.setdefault(row, f"r{len(names)}")
                reel.append(f'<use href="#{name}" y="{y * _HEIGHT}"/>')
        reel.append("</g>")
    rows = [f'<g id="{name}">{"".join(_row(row))}</g>' for row, name in names.items()]
    outer_width, outer_height = width + 2 * _MARGIN, height + _BAR + _MARGIN
    lights = "".join(
        f'<circle cx="{_MARGIN + 7 + 18 * i}" cy="16" r="5" fill="{_BORDER}"/>' for i in range(3)
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{outer_width}"'
            f' height="{outer_height}" viewBox="0 0 {outer_width} {outer_height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_style(frames, poster, first, width)}</style>",
            f'<rect x=".5" y=".5" width="{outer_width - 1}" height="{outer_height - 1}" rx="8"'
            f' fill="{_GROUND}" stroke="{_BORDER}"/>{lights}',
            f"<defs>{''.join(rows)}</defs>",
            f'<svg x="{_MARGIN}" y="{_BAR}" width="{width}" height="{height}"><g class="reel">',
            *reel,
            "</g></svg></svg>\n",
        ]
    )


def _style(frames: Sequence[Frame], poster: int, first: int, width: int) -> str:
    total = sum(frame.seconds for frame in frames)
    before = sum(frame.seconds for frame in frames[:first])
    keys, begun = [], 0.0
    for number, frame in enumerate(frames):
        share = 100 * begun / total
        keys.append(f"{share:.3f}%{{transform:translateX({-number * width}px)}}")
        begun += frame.seconds
    return (
        f"text{{font:{_SIZE}px {_FONT};fill:{_TEXT};white-space:pre}}.b{{font-weight:bold}}"
        "defs rect{shape-rendering:crispEdges}"
        f".reel{{transform:translateX({-poster * width}px);"
        f"animation:play {total:.2f}s step-end {-before:.2f}s infinite}}"
        f"@keyframes play{{{''.join(keys)}}}"
        "@media (prefers-reduced-motion:reduce){.reel{animation:none}}"
    )


def _row(row: Row) -> Iterator[str]:
    """Runs of characters that look alike, each fitted to the cells that it takes."""
    start = 0
    for look, group in groupby(row, _look):
        cells = list(group)
        yield from _run(start, cells, *look)
        start += len(cells)


def _look(cell: Char) -> tuple[str, str | None, bool, str]:
    """Colour, ground (None: the terminal's), boldness, and the block that it is, if it is one."""
    fore = _colour(cell.fg, _TEXT)
    back = None if cell.bg == "default" else _colour(cell.bg, _GROUND)
    if cell.reverse:
        fore, back = back or _GROUND, fore
    return fore, back, cell.bold, cell.data if cell.data in _PARTS else ""


def _colour(name: str, default: str) -> str:
    return default if name == "default" else _NAMED.get(name) or f"#{name}"


def _run(
    start: int, cells: list[Char], fore: str, back: str | None, bold: bool, block: str
) -> Iterator[str]:
    if back:
        yield _box(start, len(cells), 1, back)
    if block:
        wide, high = _PARTS[block]
        if wide == 1:
            yield _box(start, len(cells), high, fore)
        else:
            yield from (_box(start + i, wide, high, fore) for i in range(len(cells)))
        return
    text = "".join(cell.data for cell in cells)
    # Words that are far from each other are set by themselves.
    place = 0
    for word in text.split("  "):
        shown = word.strip(" ")
        if shown:
            x = (start + place + word.index(shown)) * _WIDTH
            fill = "" if fore == _TEXT else f' fill="{fore}" style="fill:{fore}"'
            look = ' class="b"' if bold else ""
            yield (
                f'<text x="{x:g}" y="{_BASELINE}" textLength="{len(shown) * _WIDTH:g}"'
                f' lengthAdjust="spacingAndGlyphs"{look}{fill}>{escape(shown)}</text>'
            )
        place += len(word) + 2


def _box(start: float, cells: float, high: float, colour: str) -> str:
    # A little too wide and too high, so that no seam is seen between neighbours.
    return (
        f'<rect x="{start * _WIDTH:g}" width="{cells * _WIDTH + 0.2:g}"'
        f' height="{high * _HEIGHT + 0.2:g}" fill="{colour}"/>'
    )
