"""One line for each of many prompts: what follows it, the most probable first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from gptcli.types.next_tokens import Distribution
from gptcli.ui.data.values import number
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.visible import ending, isolated, plainly, shortened, visible
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views.printing import caption
from gptcli.ui.views.source import where
from gptcli.units import percent

_GAP = "  "


def show(stream: TextIO, distributions: Iterable[Distribution]) -> None:
    """Lines as they come; tab-separated with heads off a terminal: raw probabilities.

    On a terminal the model and its precision come last.
    """
    if stream.isatty():
        writer, source = TerminalWriter(stream), None
        for each in distributions:
            writer.line(_line(each, width_of(stream)))
            source = each.source
        if source is not None:
            writer.line()
            caption(stream, where(source))
        return
    first, data = True, DataWriter(stream)
    for each in distributions:
        if first:
            heads = ["prompt"]
            for place in range(1, len(each.candidates) + 1):
                heads += [f"token_{place}", f"probability_{place}"]
            data.rows([heads])
            first = False
        row: list[str | bytes] = [each.prompt]
        for candidate in each.candidates:
            row += [candidate.token.bytes, number(candidate.probability)]
        data.rows([row])


def _line(distribution: Distribution, width: int) -> paint.Text:
    room = max(width // 3, 8)
    # Its end matters for what comes next.
    prompt = ending(plainly(distribution.prompt), room)
    line = paint.Text(no_wrap=True, end="")
    line.append(isolated(prompt), style="dim")
    line.append(" " * (room - paint.cell_len(prompt)))
    used = room
    for candidate in distribution.candidates:
        text = visible(candidate.token.bytes)
        share = percent(candidate.probability)
        left = width - used - len(_GAP) - 1 - len(share)
        if left < min(paint.cell_len(text), 4):
            break
        text = shortened(text, left)
        line.append(_GAP)
        line.append(isolated(text), style="bold")
        line.append(f" {share}", style="cyan")
        used += len(_GAP) + paint.cell_len(text) + 1 + len(share)
    return line
