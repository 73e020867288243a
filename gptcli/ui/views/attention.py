"""Attention: one heat map, many small ones, or a row of one as bars; rows; JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from gptcli.types.attention import Attention, AttentionMap
from gptcli.ui.data.values import number, tokens_json
from gptcli.ui.data.writer import DataWriter, Row
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.bars import bar
from gptcli.ui.terminal.heat import Heat, brightened, pooled
from gptcli.ui.terminal.tables import Column
from gptcli.ui.terminal.visible import isolated, shortened, visible
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views import source, states
from gptcli.ui.views.attention_words import name_of, notes
from gptcli.ui.views.printing import caption, fitted
from gptcli.ui.views.source import where
from gptcli.units import counted, percent

#: Pixels of the side of a small map: at least, and at most where many layers stand below each
#: other.
_LEAST, _MOST = 5, 12
_MARKS = (0.0, 0.06, 0.25, 0.56, 1.0)


def show(stream: TextIO, found: Attention, *, token: int | None = None) -> None:
    """On a terminal the maps, or a token's row (its place in the window); else every weight."""
    if not stream.isatty():
        DataWriter(stream).rows(rows(found, token))
        return
    if token is not None:
        for each in found.maps:
            _bars(stream, found, each, token)
    elif len(found.maps) == 1:
        _map(stream, found, found.maps[0])
    elif found.maps:
        _overview(stream, found)
    states.show(stream, found, token)
    for line in notes(found):
        caption(stream, line)
    caption(stream, where(found.source))


def rows(found: Attention, token: int | None = None) -> Iterator[Row]:
    """Cells under heads, a row for each weight that is not 0.

    Where layers carry a state, a column more has its lengths, and rows of their own do.
    """
    empty = ("",) if found.states else ()
    heads = ("layer", "head", "position", "token", "key_position", "key_token", "weight")
    valued = ("length",) if found.request.weigh == "values" else ()
    yield (*heads, *valued, *(("state_length",) if empty else ()))
    ends = [(str(position), each.bytes) for position, each in enumerate(found.tokens, found.first)]
    for each in found.maps:
        name = ["all" if n is None else str(n) for n in (each.layer, each.head)]
        for query, row in enumerate(each.weights):
            if token not in (None, query):
                continue
            for key, weight in enumerate(row):
                if weight:
                    own = (number(weight * each.totals[query]),) if valued else ()
                    yield (*name, *ends[query], *ends[key], number(weight), *own, *empty)
    yield from states.rows(found, token)


def _label(found: Attention, place: int, width: int) -> paint.Text:
    position = str(found.first + place).rjust(len(str(found.first + len(found.tokens) - 1)))
    line = paint.Text(f"{position} ", style="dim", no_wrap=True, end="")
    text = shortened(visible(found.tokens[place].bytes), width - len(position) - 1)
    line.append(isolated(text), style="not dim")
    line.append(" " * (width - len(position) - 1 - paint.cell_len(text)))
    return line


def _map(stream: TextIO, found: Attention, each: AttentionMap) -> None:
    writer, heat, width = TerminalWriter(stream), Heat(stream), width_of(stream)
    count = len(found.tokens)
    longest = max(paint.cell_len(visible(token.bytes)) for token in found.tokens)
    label = min(max(longest + 4, 8), max(width // 4, 8))
    room = width - label - 1
    shown = min(count, room // 2)
    left = count - shown
    outside = bool(found.first or left)
    cells = max(min(room // (shown + outside), 8), 2)
    if outside and cells * (shown + 1) > room:
        shown -= 1
        left += 1
    writer.line(name_of(found, each), style="bold")
    for head in _heads(found, left, cells, outside):
        writer.line(paint.Text(" " * (label + 1)) + head)
    for place in range(left, count):
        row = each.weights[place]
        line = _label(found, place, label) + paint.Text(" ")
        values = [each.outside[place] + sum(row[:left])] if outside else []
        for at, value in enumerate([*values, *row[left:]]):
            if at > place - left + outside:
                break
            text = f"{value * 100:.0f} " if cells >= 4 and value >= 0.005 else ""
            line.append(*heat.cell(brightened(value), cells, text))
        writer.line(line)
    legend = paint.Text("each row shares 100% out:")
    for piece in heat.legend(_MARKS, width - len(legend)):
        legend.append(*piece)
    writer.line(legend)
    if outside:
        first = found.first + left
        caption(stream, f"… stands for the {counted(first, 'token')} before position {first}")
    if left:
        last = found.first + count - 1
        text = f"positions {found.first + left} to {last}; --window START:STOP shows others"
        caption(stream, f"{text}, --html all of them")


def _heads(found: Attention, left: int, cells: int, outside: bool) -> Iterator[paint.Text]:
    """Positions, and tokens where there is room, over the columns."""
    columns = range(left, len(found.tokens))
    before = "…".rjust(cells) if outside else ""
    numbers = "".join(str((found.first + at) % 10 ** (cells - 1)).rjust(cells) for at in columns)
    yield paint.Text(before + numbers, style="dim")
    if cells >= 5:
        line = paint.Text(" " * len(before))
        for at in columns:
            text = shortened(visible(found.tokens[at].bytes), cells - 1)
            line.append(" " * (cells - paint.cell_len(text)) + isolated(text))
        yield line


def _overview(stream: TextIO, found: Attention) -> None:
    """Small maps, a line of them for each layer; bars stand between heads that share nothing."""
    writer, heat, width = TerminalWriter(stream), Heat(stream), width_of(stream)
    layers: dict[int | None, list[AttentionMap]] = {}
    for each in found.maps:
        layers.setdefault(each.layer, []).append(each)
    per_layer = max(map(len, layers.values()))
    room = width - 4
    side = min(max(room // per_layer - 1, _LEAST), len(found.tokens))
    if len(layers) > 4:
        side = min(side, _MOST)
    side = max(min(side, room - 1), 1)
    across = max(room // (side + 1), 1)
    for layer, maps in layers.items():
        for start in range(0, len(maps), across):
            line_of = maps[start : start + across]
            heads = paint.Text(f"{layer:>3} " if not start else "    ", style="bold")
            for each in line_of:
                heads.append(_bar(found, each) + str(each.head).ljust(side), style="not bold dim")
            writer.line(heads)
            pictures = [
                heat.small(pooled([[brightened(w) for w in row] for row in each.weights], side))
                for each in line_of
            ]
            for parts in zip(*pictures, strict=True):
                line = paint.Text("    ", no_wrap=True, end="")
                for each, part in zip(line_of, parts, strict=True):
                    line.append(_bar(found, each), style="dim")
                    line.append_text(part)
                writer.line(line)
    text = "a map for each layer (down) and head (across): queries go down, keys go right"
    bars = "; heads between bars share keys and values" if found.group > 1 else ""
    caption(stream, f"{text}{bars}; --layer L --head H shows one in full")
    if found.first:
        caption(stream, f"{counted(found.first, 'token')} before these not shown")


def _bar(found: Attention, each: AttentionMap) -> str:
    first = each.head is not None and found.group > 1 and each.head % found.group == 0
    return "│" if first and each.head else " "


def _bars(stream: TextIO, found: Attention, each: AttentionMap, token: int) -> None:
    position = found.first + token
    text = visible(found.tokens[token].bytes)
    title = f"where {text} (position {position}) looks: {name_of(found, each)}"
    TerminalWriter(stream).paragraph(title, style="bold")
    length = min(max(width_of(stream) // 3, 8), 60)
    columns = [
        Column("#", right=True, keep=2, style="dim"),
        Column("token", shrink=True, least=6, style="bold"),
        Column("weight", right=True, style="cyan"),
        Column("", keep=1, style="cyan"),
    ]
    shares = [
        (str(found.first + at), visible(found.tokens[at].bytes), weight)
        for at, weight in enumerate(each.weights[token][: token + 1])
    ]
    if found.first:
        shares.insert(0, ("…", f"{counted(found.first, 'token')} before", each.outside[token]))
    largest = max(weight for _, _, weight in shares) or 1.0
    table = [[at, name, percent(w), bar(w / largest, length)] for at, name, w in shares]
    fitted(stream, columns, table)


def as_json(found: Attention) -> dict[str, Any]:
    """`weights[q][k]` are those of query q for key k, both within `tokens`."""
    request = found.request
    return {
        "object": "attention",
        **source.fields(found.source),
        "prompt": request.prompt,
        "prompt_tokens": found.prompt_tokens,
        "layers": found.layers,
        "heads": found.heads,
        "heads_per_key_head": found.group,
        "windows": list(found.windows),
        "sinks": found.sinks,
        "over": request.over,
        "weigh": request.weigh,
        "attending": list(found.attending),
        "tokens": tokens_json(found.first, found.tokens),
        "maps": [
            {
                "layer": each.layer,
                "head": each.head,
                "weights": each.weights,
                "outside": each.outside,
                **({"totals": each.totals} if each.totals else {}),
            }
            for each in found.maps
        ],
        "states": states.as_json(found),
    }
