"""The distribution over the next token: tables, tab-separated rows, JSON."""

from __future__ import annotations

from typing import Any, TextIO

from gptcli.types.next_tokens import AtStage, Candidate, Distribution, Spread
from gptcli.ui.data.values import finite, id_text, number, token_json
from gptcli.ui.terminal.bars import bar
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import visible
from gptcli.ui.terminal.writer import width_of
from gptcli.ui.views import source
from gptcli.ui.views.printing import banded, blank, caption, fitted
from gptcli.ui.views.sampling import as_json as sampling_json
from gptcli.ui.views.sampling import in_words, stage_head
from gptcli.ui.views.source import where
from gptcli.units import UNKNOWN, percent

Table = tuple[list[Column], list[list[str | Cell]]]
_TOKEN = Column("token", shrink=True, least=8, style="bold")


def show(stream: TextIO, distribution: Distribution, *, stages: bool = False) -> None:
    """The candidates; on a terminal also entropies, sums, and what the columns mean."""
    if not stream.isatty():
        fitted(stream, *data_table(distribution, stages=stages))
        return
    fitted(stream, *terminal_table(distribution, width_of(stream)))
    if stages:
        blank(stream)
        banded(stream, *_stage_table(distribution))
    if distribution.temperatures:
        blank(stream)
        banded(stream, *_temperature_table(distribution))
    blank(stream)
    _sums(stream, distribution)
    if distribution.forbidden is not None:
        caption(
            stream, f"the constraint forbids {percent(distribution.forbidden)} of the probability"
        )
    caption(stream, f"drawn with {in_words(distribution.sampling)}")
    caption(stream, where(distribution.source))


def terminal_table(distribution: Distribution, width: int) -> Table:
    """Columns and rows for people. Narrow terminals lose the logit first, then bar, id, …"""
    columns = [
        Column("#", right=True, keep=6, style="dim"),
        Column("token", shrink=True, least=5, style="bold"),
        Column("id", right=True, keep=3, style="dim"),
        Column("logit", right=True, keep=1),
        Column("logprob", right=True, keep=4),
        Column("probability", right=True, keep=8, style="cyan"),
        Column("drawn", right=True, shrink=True, least=8, style="green"),
        Column("", keep=2, style="cyan"),
    ]
    length = min(max(width // 8, 4), 32)
    return columns, [_terminal_row(each, length) for each in distribution.candidates]


def _terminal_row(candidate: Candidate, length: int) -> list[str | Cell]:
    return [
        str(candidate.rank),
        token_cell(candidate),
        id_text(candidate.token, UNKNOWN),
        UNKNOWN if candidate.logit is None else f"{candidate.logit:.2f}",
        f"{candidate.logprob:.3f}",
        percent(candidate.probability),
        drawn_cell(candidate),
        bar(candidate.probability, length),
    ]


def _stage_table(distribution: Distribution) -> Table:
    """The probability after each stage, from the model's own to what is drawn with."""
    heads = [stage_head(name, distribution.sampling) for name in distribution.stages]
    columns = [_TOKEN, *(Column(head, right=True) for head in heads)]
    rows = [[token_cell(each), *_stage_cells(each)] for each in distribution.candidates]
    return columns, [list[str | Cell](row) for row in rows]


def _temperature_table(distribution: Distribution) -> Table:
    heads = [f"T={value:g}" for value, _ in distribution.temperatures]
    columns = [_TOKEN, *(Column(head, right=True) for head in heads)]
    rows: list[list[str | Cell]] = [
        [token_cell(each), *map(percent, each.at_temperatures)] for each in distribution.candidates
    ]
    entropies = [f"{spread.entropy:.2f}" for _, spread in distribution.temperatures]
    choices = [_choices(spread) for _, spread in distribution.temperatures]
    rows.append([Cell("bits", "dim"), *(Cell(each, "dim") for each in entropies)])
    rows.append([Cell("choices", "dim"), *(Cell(each, "dim") for each in choices)])
    return columns, rows


def token_cell(candidate: Candidate) -> Cell:
    """The token made visible; control tokens and those that end a text stand out."""
    style = "magenta" if candidate.token.special or candidate.ends else ""
    return Cell(visible(candidate.token.bytes), style)


def drawn_cell(candidate: Candidate) -> Cell:
    """The probability that it is drawn with, or what took it away."""
    if candidate.cut_by is not None:
        return Cell(f"cut by {candidate.cut_by}", "dim")
    return Cell(percent(candidate.drawn))


def _stage_cells(candidate: Candidate) -> list[Cell]:
    """The probability after each stage: green where it rose, yellow where it fell."""
    before = candidate.stages[0]
    cells = [Cell(percent(before.probability), "cyan")]
    for stage in candidate.stages[1:]:
        if stage.logit == float("-inf"):
            cells.append(Cell("cut" if before.logit > stage.logit else "·", "dim"))
        else:
            change = stage.probability - before.probability
            style = "green" if change > 0 else "yellow" if change < 0 else ""
            cells.append(Cell(percent(stage.probability), style))
        before = stage
    return cells


def _sums(stream: TextIO, distribution: Distribution) -> None:
    columns = [
        Column("", shrink=True, least=4, style="dim"),
        Column("probability", right=True, keep=1),
        Column("drawn", right=True, shrink=True, least=8),
    ]
    spreads = (distribution.raw, distribution.drawn)
    drawn = None if distribution.drawn is None else distribution.drawn_mass
    rows: list[list[str | Cell]] = [
        ["entropy", *(f"{bits(each)} bits" for each in spreads)],
        ["choices (2^entropy)", *map(_choices, spreads)],
        ["mass shown", percent(distribution.raw_mass), percent(drawn)],
        ["tokens above 0%", *(UNKNOWN if s is None else str(s.tokens) for s in spreads)],
    ]
    fitted(stream, columns, rows)


def bits(spread: Spread | None) -> str:
    """The entropy, for people."""
    return UNKNOWN if spread is None else f"{spread.entropy:.2f}"


def entropy(spread: Spread | None) -> float | None:
    """The entropy in bits."""
    return None if spread is None else spread.entropy


def _choices(spread: Spread | None) -> str:
    if spread is None:
        return UNKNOWN
    return f"{spread.choices:.1f}" if spread.choices < 1000 else f"{spread.choices:.0f}"


def data_table(distribution: Distribution, *, stages: bool = False) -> Table:
    """Columns and rows for programs: numbers as they are, a column for what cut a token."""
    heads = ["rank", "token", "id", "logit", "logprob", "probability"]
    heads += [f"T={value:g}" for value, _ in distribution.temperatures]
    heads += distribution.stages[1:] if stages else ()
    heads += ["drawn", "cut_by"]
    rows: list[list[str | Cell]] = []
    for each in distribution.candidates:
        row: list[str | Cell] = [str(each.rank), Cell("", data=each.token.bytes)]
        row.append(id_text(each.token))
        row += map(number, (each.logit, each.logprob, each.probability, *each.at_temperatures))
        if stages:
            row += [number(stage.probability) for stage in each.stages[1:]]
        rows.append([*row, number(each.drawn), each.cut_by or ""])
    return [Column(head) for head in heads], rows


def as_json(found: Distribution, *, stages: bool = False) -> dict[str, Any]:
    """Everything that there is to tell; entropies in bits, log-probabilities natural."""
    return {
        "object": "next_tokens",
        **source.fields(found.source),
        "prompt": found.prompt,
        "usage": {"prompt_tokens": found.prompt_tokens},
        "sampling": sampling_json(found.sampling),
        **numbers_json(found, stages=stages),
    }


def numbers_json(found: Distribution, *, stages: bool = False) -> dict[str, Any]:
    """What a distribution tells beside whose it is, and of what."""
    numbers: dict[str, Any] = {
        "vocabulary": found.vocabulary,
        "stages": list(found.stages),
        "raw": found.raw and _spread(found.raw, found.raw_mass),
        "drawn": found.drawn and _spread(found.drawn, found.drawn_mass),
        "top_logprobs": [candidate_json(found, each, stages=stages) for each in found.candidates],
    }
    if found.forbidden is not None:
        numbers["forbidden"] = found.forbidden
    if found.temperatures:
        numbers["temperatures"] = [
            {
                "temperature": value,
                **_spread(spread, sum(each.at_temperatures[i] for each in found.candidates)),
            }
            for i, (value, spread) in enumerate(found.temperatures)
        ]
    return numbers


def candidate_json(found: Distribution, each: Candidate, *, stages: bool = False) -> dict[str, Any]:
    """A token that may come next."""
    shown = {
        **token_json(each.token),
        "rank": each.rank,
        "logit": finite(each.logit),
        "logprob": finite(each.logprob),
        "probability": each.probability,
        "drawn": each.drawn,
        "cut_by": each.cut_by,
    }
    if stages:
        shown["stages"] = [
            _at_stage(name, at) for name, at in zip(found.stages, each.stages, strict=True)
        ]
    if each.at_temperatures:
        shown["at_temperatures"] = list(each.at_temperatures)
    return shown


def _at_stage(name: str, at: AtStage) -> dict[str, Any]:
    return {"name": name, "logit": finite(at.logit), "probability": at.probability}


def _spread(spread: Spread, mass: float) -> dict[str, Any]:
    return {
        "entropy": spread.entropy,
        "choices": spread.choices,
        "tokens": spread.tokens,
        "mass": mass,
    }
