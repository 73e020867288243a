"""What parts add to a logit: a map of heads, the strongest as bars; rows; JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from gptcli.types.parts import AddedPart, LogitParts
from gptcli.ui.data.values import number, token_json
from gptcli.ui.data.writer import DataWriter, Row
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.bars import bar
from gptcli.ui.terminal.heat import Heat, signed_root
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import visible
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views import source
from gptcli.ui.views.printing import caption, fitted
from gptcli.ui.views.source import where
from gptcli.units import counted, percent

#: How many parts are listed on a terminal where nothing else is asked for.
LISTED = 20
_LABEL = 6
#: Cells of a head in the map, at most, and from how many on its number stands there.
_MOST, _NUMBERS = 7, 5


def show(stream: TextIO, found: LogitParts, listed: int = LISTED) -> None:
    """On a terminal the map and the strongest parts; else a row for each part."""
    if not stream.isatty():
        DataWriter(stream).rows(rows(found))
        return
    writer = TerminalWriter(stream)
    writer.paragraph(title_of(found), style="bold")
    if by_head(found):
        writer.line()
        _map(stream, found)
    writer.line()
    _strongest(stream, found, listed)
    for line in notes(found):
        caption(stream, line)
    caption(stream, where(found.source))


def rows(found: LogitParts) -> Iterator[Row]:
    """Cells under heads, a row for each part, the strongest first."""
    yield ("part", "layer", "head", "adds")
    for each in found.strongest:
        place = ["" if at is None else str(at) for at in (each.layer, each.head)]
        yield (each.name, *place, number(each.adds))


def name_of(part: AddedPart) -> str:
    """`head 3.5`, `mlp 3`, `embedding`."""
    at = [str(each) for each in (part.layer, part.head) if each is not None]
    return f"{part.name} {'.'.join(at)}".rstrip()


def title_of(found: LogitParts) -> str:
    """What it is that the parts add up to."""
    target = visible(found.target.bytes)
    what = f"the logit of {target}"
    if found.versus is not None:
        what += f" less that of {visible(found.versus.bytes)}"
    at = len(found.tokens) - 1
    return f"{what} after position {at} {visible(found.tokens[at].bytes)}: {found.logit:.4g}"


def by_head(found: LogitParts) -> dict[int, list[float]]:
    """Of each layer that is told head by head, what its heads add."""
    layers: dict[int, list[float]] = {}
    for each in found.parts:
        if each.head is not None and each.layer is not None:
            layers.setdefault(each.layer, []).append(each.adds)
    return layers


def largest_of(found: LogitParts) -> float:
    """What the strongest head adds or takes; not 0."""
    return max((abs(adds) for row in by_head(found).values() for adds in row), default=0.0) or 1.0


def notes(found: LogitParts) -> Iterator[str]:
    """What a reader should know beside the numbers."""
    tokens = [found.target, *([found.versus] if found.versus is not None else [])]
    chances = " and ".join(
        f"{percent(chance)} for {visible(token.bytes)}"
        for token, chance in zip(tokens, found.chances, strict=True)
    )
    yield f"the model says {chances}"
    text = "parts add up to the logit, with the scale of every norm as it is in this text"
    kinds = {each.name: each.adds for each in found.parts}
    yield f"{text}; rounding, what numbers lose as they meet the weights: {kinds['rounding']:+.2g}"
    if found.softcap is not None:
        said = f"with which the model says {found.said:.4g}"
        yield f"before the soft cap of {found.softcap:g}, {said}"
    if "mixer" in kinds:
        yield "mixer: what stands beside attention in the same layer, all of it together"


def _map(stream: TextIO, found: LogitParts) -> None:
    """Layers down, heads across, in bands where there are more heads than cells."""
    writer, heat, layers = TerminalWriter(stream), Heat(stream), by_head(found)
    most, largest = max(map(len, layers.values())), largest_of(found)
    room = max(width_of(stream) - _LABEL, 1)
    cells = min(max(room // most, 1), _MOST)
    across = max(room // cells, 1)
    for start in range(0, most, across):
        band = range(start, min(start + across, most))
        writer.line(paint.Text(" " * _LABEL + _heads(band, cells), style="dim"))
        for layer, row in layers.items():
            line = paint.Text(f"{layer:>{_LABEL - 1}} ", style="dim", no_wrap=True, end="")
            for adds in row[band.start : band.stop]:
                text = "" if cells < _NUMBERS else f"{adds:+.{2 if cells > _NUMBERS else 1}f}"
                share = signed_root(adds / largest)
                line.append(*_styled(heat, share, cells, text))
            writer.line(line)
    text = f"what each head adds: layers down, heads across; the colour is the root, ±{largest:.2g}"
    caption(stream, text if heat.colour else f"{text} (a shade has no sign)")


def _styled(heat: Heat, share: float, cells: int, text: str) -> tuple[str, str]:
    """A cell too narrow for its number has none."""
    content, style = heat.signed(share, cells, text if len(text) <= cells else "")
    return content, f"not dim {style}"


def _heads(band: range, cells: int) -> str:
    """Numbers of heads, as many as there is room for."""
    every = -(-(len(str(band.stop - 1)) + 1) // cells)
    return "".join(
        str(head).rjust(cells * every) if at % every == every - 1 else ""
        for at, head in enumerate(band)
    )


def _strongest(stream: TextIO, found: LogitParts, listed: int) -> None:
    strongest = found.strongest
    length = min(max(width_of(stream) // 3, 8), 50)
    largest = abs(strongest[0].adds) or 1.0
    columns = [
        Column("part", style="bold"),
        Column("adds", right=True),
        Column("", keep=1),
    ]
    table: list[list[str | Cell]] = []
    for each in strongest[:listed]:
        style = "cyan" if each.adds >= 0 else "yellow"
        drawn = Cell(bar(abs(each.adds) / largest, length), style)
        table.append([name_of(each), Cell(f"{each.adds:+.4f}", style), drawn])
    fitted(stream, columns, table)
    rest = strongest[listed:]
    if rest:
        total = sum(each.adds for each in rest)
        more = f"{counted(len(rest), 'more part')} together: {total:+.4f}"
        caption(stream, f"{more}; --rows K lists others, a pipe all of them")


def as_json(found: LogitParts) -> dict[str, Any]:
    """`parts` in the order of the model; they add up to `logit`."""
    versus = found.versus
    return {
        "object": "logit_parts",
        **source.fields(found.source),
        "prompt": found.request.prompt,
        "prompt_tokens": found.prompt_tokens,
        "position": len(found.tokens) - 1,
        "token": token_json(found.tokens[-1]),
        "by": found.request.by,
        "layers": found.layers,
        "target": {**token_json(found.target), "probability": found.chances[0]},
        "versus": None if versus is None else _with_chance(found),
        "logit": found.logit,
        "model_logit": found.said,
        "softcap": found.softcap,
        "parts": [
            {"part": each.name, "layer": each.layer, "head": each.head, "adds": each.adds}
            for each in found.parts
        ],
    }


def _with_chance(found: LogitParts) -> dict[str, Any]:
    assert found.versus is not None
    return {**token_json(found.versus), "probability": found.chances[1]}
