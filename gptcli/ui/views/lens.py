"""The logit lens: a grid of layers and positions, a token's rank through them; rows; JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TextIO

from gptcli.types.lens import Lens, Ranked, Reading
from gptcli.types.token import Token
from gptcli.ui.data.values import number, token_json, tokens_json, valued_json
from gptcli.ui.data.writer import DataWriter, Row
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.bars import bar
from gptcli.ui.terminal.heat import Heat
from gptcli.ui.terminal.tables import Column
from gptcli.ui.terminal.visible import isolated, one_line, shortened, visible
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views import source
from gptcli.ui.views.printing import caption, fitted
from gptcli.ui.views.source import where
from gptcli.units import percent

_LABEL = 6
#: Cells of a column: at least, and at most.
_LEAST, _MOST = 9, 14


def show(stream: TextIO, lens: Lens) -> None:
    """On a terminal the grid, in bands where more than fits was asked for; else every reading."""
    if not stream.isatty():
        DataWriter(stream).rows(rows(lens))
        return
    writer, width = TerminalWriter(stream), width_of(stream)
    count = len(lens.tokens)
    fit = max((width - _LABEL) // _LEAST, 1)
    shown = range(count) if lens.request.window.asked else range(max(count - fit, 0), count)
    for start in range(shown.start, shown.stop, fit):
        band = range(start, min(start + fit, shown.stop))
        if start > shown.start:
            writer.line()
        _band(stream, lens, band)
    caption(
        stream,
        f"each cell: what the stream would say after the layer, read out through {reader_of(lens)};"
        " * where the last layer's answer first is rank 1",
    )
    if len(shown) < count:
        first, last = lens.first + shown.start, lens.first + count - 1
        text = f"positions {first} to {last} of {lens.first} to {last}"
        caption(stream, f"{text}; --window START:STOP shows others, --html all of them")
    if lens.tracked is not None:
        writer.line()
        _track(stream, lens)
    caption(stream, where(lens.source))


def rows(lens: Lens) -> Iterator[Row]:
    """Cells under heads, a row for each layer and position."""
    heads = ["layer", "position", "token", "top", "id", "probability"]
    heads += ["answer_rank", "answer_probability"]
    heads += ["tracked_rank", "tracked_probability"] if lens.tracked is not None else []
    yield heads
    for layer, row in enumerate(lens.grid, -1):
        for at, (token, each) in enumerate(zip(lens.tokens, row, strict=True)):
            top, probability = each.top[0]
            cells: list[str | bytes] = [name_of(layer), str(lens.first + at), token.bytes]
            cells += [top.bytes, str(top.id), number(probability)]
            cells += [str(each.answer.rank), number(each.answer.probability)]
            if each.tracked is not None:
                cells += [str(each.tracked.rank), number(each.tracked.probability)]
            yield cells


def reader_of(lens: Lens) -> str:
    """What the streams go through."""
    tuned = lens.request.tuned
    whole = "final norm and head"
    return whole if tuned is None else f"{one_line(tuned.name)} (a tuned lens), {whole}"


def name_of(layer: int) -> str:
    """A layer's number, or `embed` for what stands before the first."""
    return "embed" if layer < 0 else str(layer)


def _band(stream: TextIO, lens: Lens, band: range) -> None:
    writer, heat = TerminalWriter(stream), Heat(stream)
    cells = min(max((width_of(stream) - _LABEL) // len(band), _LEAST), _MOST)
    numbers = "".join(str(lens.first + at).rjust(cells) for at in band)
    writer.line(paint.Text(" " * _LABEL + numbers, style="dim"))
    writer.line(_texts("", [lens.tokens[at] for at in band], cells, "bold"))
    for layer, row in enumerate(lens.grid, -1):
        line = paint.Text(name_of(layer).rjust(_LABEL - 1) + " ", style="dim", no_wrap=True, end="")
        for at in band:
            line.append(" ")
            mark = "*" if lens.settled[at] == layer else " "
            for text, style in _cell(heat, row[at], cells - 1, mark):
                line.append(text, style=f"not dim {style}".strip())
        writer.line(line)
    writer.line(_texts("says", [lens.answers[at] for at in band], cells, "bold"))
    since = "".join(name_of(lens.settled[at]).rjust(cells) for at in band)
    writer.line(paint.Text("since".rjust(_LABEL - 1) + " " + since, style="dim"))


def _texts(name: str, tokens: list[Token], cells: int, style: str) -> paint.Text:
    line = paint.Text(name.rjust(_LABEL - 1) + " ", style="dim", no_wrap=True, end="")
    for token in tokens:
        text = shortened(visible(token.bytes), cells - 1)
        line.append(" " * (cells - paint.cell_len(text)))
        line.append(isolated(text), style=f"not dim {style}")
    return line


def _cell(heat: Heat, each: Reading, cells: int, mark: str) -> Iterator[tuple[str, str]]:
    """A token, its probability in percent, the mark; the colour is the probability."""
    token, probability = each.top[0]
    share = f"{probability * 100:.0f}"
    text = shortened(visible(token.bytes), cells - len(share) - 2)
    pad = " " * (cells - paint.cell_len(text) - len(share) - 1)
    _, style = heat.cell(probability, 0)
    yield isolated(text) + pad, style
    yield share + mark, style


def _track(stream: TextIO, lens: Lens) -> None:
    """The tracked token's rank at the last position, and its height on a scale of powers of 10."""
    assert lens.tracked is not None
    position = lens.first + len(lens.tokens) - 1
    name = visible(lens.tracked.bytes)
    title = f"{name} (id {lens.tracked.id}) after position {position}"
    TerminalWriter(stream).paragraph(title, style="bold")
    column = [row[-1].tracked for row in lens.grid]
    lowest = max(each.rank for each in column if each)
    length = min(max(width_of(stream) // 3, 8), 40)
    table = [
        [
            name_of(layer),
            f"{each.rank}",
            percent(each.probability),
            bar(1 - math.log(each.rank) / max(math.log(lowest), 1e-9), length),
        ]
        for layer, each in enumerate(column, -1)
        if each
    ]
    columns = [
        Column("layer", right=True, style="dim"),
        Column("rank", right=True, style="bold"),
        Column("probability", right=True, style="cyan"),
        Column("", keep=1, style="cyan"),
    ]
    fitted(stream, columns, table)


def as_json(found: Lens) -> dict[str, Any]:
    """`grid[n][i]` is position i of `tokens` before layer n; the last row is the model's answer."""
    return {
        "object": "lens",
        **source.fields(found.source),
        "prompt": found.request.prompt,
        "prompt_tokens": found.prompt_tokens,
        "layers": found.layers,
        **({} if found.request.tuned is None else {"tuned": str(found.request.tuned)}),
        "tokens": tokens_json(found.first, found.tokens),
        "answers": [token_json(each) for each in found.answers],
        "first_at_layer": list(found.settled),
        "tracked": None if found.tracked is None else token_json(found.tracked),
        "grid": [[_reading(each) for each in row] for row in found.grid],
    }


def _reading(each: Reading) -> dict[str, Any]:
    value = {"top": valued_json(each.top, "probability"), "answer": _ranked(each.answer)}
    return value if each.tracked is None else value | {"tracked": _ranked(each.tracked)}


def _ranked(each: Ranked) -> dict[str, Any]:
    return {"rank": each.rank, "probability": each.probability}
