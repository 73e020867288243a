"""What layers carry in place of attention: how long their states are, behind each token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from gptcli.types.attention import Attention, CarriedState
from gptcli.ui.data.values import number
from gptcli.ui.data.writer import Row
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.bars import bar
from gptcli.ui.terminal.heat import Heat
from gptcli.ui.terminal.tables import Column
from gptcli.ui.terminal.visible import visible
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views.printing import caption, fitted
from gptcli.units import total_length as total

#: What each kind of state is called.
KINDS = {
    "delta": "a gated delta rule",
    "step": "a state space (Mamba-2)",
    "convolution": "a short convolution",
}
#: Cells of a token in a line of many layers, at most.
_MOST = 4


def notes(found: Attention) -> Iterator[str]:
    """What a reader should know of layers without attention."""
    if not found.states:
        return
    kinds = " and ".join(dict.fromkeys(KINDS[each.kind] for each in found.states))
    if found.request.layer is None:
        some = f"{len(found.states)} of {found.layers} layers have"
    else:
        some = f"layer {found.request.layer} has"
    yield (
        f"{some} no attention, and so no map: {kinds} carries a state of one size from token to"
        " token; told is its length behind each (of a convolution, of the inputs that it keeps)"
    )


def title(found: Attention, each: CarriedState) -> str:
    """`layer 3: a gated delta rule, 16 memories`."""
    which = each.memories[0]
    if each.kind == "convolution":
        some = "the inputs that it keeps"
    elif which is None:
        some = f"the {'largest' if found.request.over == 'max' else 'mean'} of its memories"
    else:
        count = len(each.memories)
        some = f"{count} memories" if count > 1 else f"memory {which}"
    return f"layer {each.layer}: {KINDS[each.kind]}, {some}"


def show(stream: TextIO, found: Attention, token: int | None) -> None:
    """One layer in full, a line for each token; several as a line for each layer."""
    if len(found.states) == 1:
        _full(stream, found, found.states[0], token)
    elif found.states:
        _lines(stream, found, token)


def _full(stream: TextIO, found: Attention, each: CarriedState, token: int | None) -> None:
    writer, length = TerminalWriter(stream), min(max(width_of(stream) // 4, 8), 40)
    writer.paragraph(f"the length of the state of {title(found, each)}", style="bold")
    columns = [
        Column("#", right=True, keep=2, style="dim"),
        Column("behind", shrink=True, least=6, style="bold"),
        Column("length", right=True, style="cyan"),
        Column("", keep=1, style="cyan"),
    ]
    many = len(each.memories) > 1
    if many:
        columns.append(Column("of each memory", keep=3, shrink=True, least=12, style="dim"))
    totals = [total(row) for row in each.lengths]
    largest = max(totals) or 1.0
    rows = []
    for at, (row, whole) in enumerate(zip(each.lengths, totals, strict=True)):
        if token not in (None, at):
            continue
        text = visible(found.tokens[at].bytes)
        cells = [str(found.first + at), text, f"{whole:.4g}", bar(whole / largest, length)]
        rows.append([*cells, *([" ".join(f"{one:.3g}" for one in row)] if many else [])])
    fitted(stream, columns, rows)


def _lines(stream: TextIO, found: Attention, token: int | None) -> None:
    writer, heat, width = TerminalWriter(stream), Heat(stream), width_of(stream)
    places = range(len(found.tokens)) if token is None else range(token, token + 1)
    ends = [f"{total(each.lengths[places[-1]]):.4g}" for each in found.states]
    last = max(map(len, ends))
    room = max(width - 4 - last - 2, 1)
    shown = places[-room:]
    cells = min(room // len(shown), _MOST)
    behind = visible(found.tokens[places[-1]].bytes)
    at = found.first + places[-1]
    where = f"{behind} (position {at})"
    if token is None:
        where = f"positions {found.first + shown[0]} to {at}, in numbers behind {behind}"
    what = "the length of the states of layers without attention"
    writer.paragraph(f"{what} behind {where}", style="bold")
    for each, end in zip(found.states, ends, strict=True):
        lengths = [total(row) for row in each.lengths]
        largest = max(lengths) or 1.0
        line = paint.Text(f"{each.layer:>3} ", style="bold", no_wrap=True, end="")
        for place in shown:
            text, style = heat.cell(lengths[place] / largest, cells)
            line.append(text, style=f"not bold {style}")
        line.append("  " + end.rjust(last), style="not bold cyan")
        writer.line(line)
    caption(stream, "colours are shares of the layer's largest; --layer L shows one in full")


def rows(found: Attention, token: int | None = None) -> Iterator[Row]:
    """Cells behind those of maps, a row for each length; memories stand where heads do."""
    for each in found.states:
        for at, lengths in enumerate(each.lengths):
            if token not in (None, at):
                continue
            end = str(found.first + at), found.tokens[at].bytes
            for memory, length in zip(each.memories, lengths, strict=True):
                name = "all" if memory is None else str(memory)
                # A column more where weights have one.
                blank = ("", "", *(("",) if found.request.weigh == "values" else ()))
                yield (str(each.layer), name, *end, "", *blank, number(length))


def as_json(found: Attention) -> list[dict[str, Any]]:
    """`lengths[t][m]` are those behind token t, of each of `memories`."""
    return [
        {
            "layer": each.layer,
            "kind": each.kind,
            "memories": each.memories,
            "lengths": each.lengths,
        }
        for each in found.states
    ]
