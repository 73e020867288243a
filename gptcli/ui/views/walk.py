"""A walk, step by step: a line for each, as it is taken; JSON of all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from gptcli.types.next_tokens import Candidate, Step
from gptcli.ui.data.values import id_text, number
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.visible import isolated, one_line, shortened, visible
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views import source
from gptcli.ui.views.next_tokens import bits, candidate_json, entropy, numbers_json, token_cell
from gptcli.ui.views.sampling import as_json as sampling_json
from gptcli.units import percent

_GAP = "  "
#: (head, cells, from which width of the terminal on); rows come one by one, so widths are fixed.
_COLUMNS = (
    ("step", 4, 30),
    ("taken", 14, 0),
    ("rank", 5, 72),
    ("probability", 11, 52),
    ("drawn", 7, 0),
    ("bits", 5, 40),
)
_NARROW_TOKEN = 10
#: The alternatives have what is left of a line, where that is worth it.
_LEAST_REST = 12


def on_terminal(stream: TextIO, steps: Iterable[Step]) -> Iterator[Step]:
    """Print a line for each step and hand the step on."""
    writer = TerminalWriter(stream)
    width = width_of(stream)
    for step in steps:
        if step.number == 1:
            writer.line(_line(_heads(), width), style="dim")
        writer.line(_line(_cells(step), width))
        yield step


def as_data(stream: TextIO, steps: Iterable[Step]) -> Iterator[Step]:
    """Tab-separated lines with heads: what was taken, then the candidates of that step."""
    writer = DataWriter(stream)
    for step in steps:
        if step.number == 1:
            heads = ["step", "token", "id", "rank", "logit", "logprob", "probability", "drawn"]
            heads.append("entropy")
            for place in range(1, len(step.distribution.candidates) + 1):
                heads += [f"token_{place}", f"probability_{place}", f"drawn_{place}"]
            writer.rows([heads])
        taken = step.taken
        row: list[str | bytes] = [str(step.number), taken.token.bytes]
        row += [id_text(taken.token), str(taken.rank)]
        row += map(number, (taken.logit, taken.logprob, taken.probability, taken.drawn))
        row.append(number(entropy(step.distribution.raw)))
        for each in step.distribution.candidates:
            row += [each.token.bytes, number(each.probability), number(each.drawn)]
        writer.rows([row])
        yield step


def _heads() -> list[tuple[str, str]]:
    return [*((head, "") for head, _, _ in _COLUMNS), ("from (probability→drawn)", "")]


def _cells(step: Step) -> list[tuple[str, str]]:
    taken, distribution = step.taken, step.distribution
    cell = token_cell(taken)
    others = _GAP.join(map(_alternative, distribution.candidates))
    return [
        (str(step.number), "dim"),
        (cell.text, cell.style or "bold"),
        (str(taken.rank), "dim"),
        (percent(taken.probability), "cyan"),
        (percent(taken.drawn), "green"),
        (bits(distribution.raw), ""),
        (others, "dim"),
    ]


def _alternative(candidate: Candidate) -> str:
    drawn = "cut" if candidate.cut_by else percent(candidate.drawn)
    return f"{visible(candidate.token.bytes)} {percent(candidate.probability)}→{drawn}"


def _line(cells: list[tuple[str, str]], width: int) -> paint.Text:
    line = paint.Text(no_wrap=True, end="")
    used = 0
    for (text, style), (head, room, wanted) in zip(cells, _COLUMNS, strict=False):
        if width < wanted:
            continue
        if head == "taken" and width < _COLUMNS[0][2]:
            room = _NARROW_TOKEN
        shown = shortened(one_line(text), room)
        pad = " " * (room - paint.cell_len(shown))
        line.append(_GAP if used else "")
        line.append("" if head == "taken" else pad)
        line.append(isolated(shown), style=style)
        line.append(pad if head == "taken" else "")
        used += room + (len(_GAP) if used else 0)
    rest = width - used - len(_GAP)
    if rest >= _LEAST_REST:
        text, style = cells[-1]
        line.append(_GAP)
        line.append(isolated(shortened(one_line(text), rest)), style=style)
    return line


def as_json(prompt: str, seed: int, steps: list[Step], text: str, reason: str) -> dict[str, Any]:
    """All steps of a walk: what was taken, and from which distribution."""
    first = steps[0].distribution
    return {
        "object": "next_tokens.walk",
        **source.fields(first.source),
        "seed": seed,
        "prompt": prompt,
        "usage": {
            "prompt_tokens": first.prompt_tokens,
            "completion_tokens": sum(not step.taken.ends for step in steps),
        },
        "sampling": sampling_json(first.sampling),
        "text": text,
        "finish_reason": reason,
        "steps": [
            {
                "step": step.number,
                **candidate_json(step.distribution, step.taken),
                "distribution": numbers_json(step.distribution),
            }
            for step in steps
        ],
    }
