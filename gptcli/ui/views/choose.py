"""Choices as they are shown: a ranked table, the winner alone, JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from gptcli.types.choose import By, Choice, Choices
from gptcli.ui.data.values import finite, logprob_json
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.bars import bar
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import visible
from gptcli.ui.terminal.writer import TerminalWriter
from gptcli.ui.views import source
from gptcli.ui.views.printing import blank, caption, fitted
from gptcli.ui.views.source import where
from gptcli.units import percent

_BAR = 12
_BYS: tuple[By, ...] = ("total", "token", "byte")
_HEADS = {"total": "logprob", "token": "per token", "byte": "per byte"}


def show(choices: Choices, stream: TextIO) -> None:
    """A table, best first: shares in percent and a bar on a terminal, exact numbers elsewhere.

    A terminal is also told which model gave the numbers, in which precision.
    """
    calibrated = choices.request.calibrate is not None
    ranking = choices.request.by
    columns = [
        Column("choice", shrink=True, least=8),
        Column("share", right=True),
        *([Column("cal. share", right=True, keep=7)] if calibrated else []),
        *([Column("", keep=3)] if stream.isatty() else []),
        *(Column(_HEADS[by], right=True, keep=_keep(by, ranking, calibrated)) for by in _BYS),
        *(_calibrated_columns(ranking) if calibrated else []),
        Column("tokens", right=True, keep=1),
        *([] if stream.isatty() else [Column("index")]),
    ]
    rows = [
        list(_cells(each, stream, calibrated=calibrated, best=place == 0))
        for place, each in enumerate(choices.ranked)
    ]
    fitted(stream, columns, rows)
    if stream.isatty():
        blank(stream)
        caption(stream, where(choices.source))


def _keep(by: By, ranking: By, calibrated: bool) -> int:
    """What ranks stays longest on a narrow terminal."""
    return 8 if by == ranking and not calibrated else 4


def _calibrated_columns(ranking: By) -> list[Column]:
    heads = {"total": "calibrated", "token": "cal. per token", "byte": "cal. per byte"}
    return [Column(heads[by], right=True, keep=8 if by == ranking else 5) for by in _BYS]


def _cells(choice: Choice, stream: TextIO, *, calibrated: bool, best: bool) -> Iterator[Cell]:
    style = "bold green" if best else ""
    yield Cell(visible(choice.text.encode()), style, choice.text)
    yield _share(choice.probability, style)
    share = choice.probability
    if calibrated:
        share = choice.calibrated_probability or 0.0
        yield _share(share, style)
    if stream.isatty():
        yield Cell(bar(share, _BAR), style or "cyan")
    for by in _BYS:
        yield _number(choice.per(by))
    if calibrated:
        for by in _BYS:
            yield _number(choice.per(by, calibrated=True))
    yield Cell(str(len(choice.tokens)))
    if not stream.isatty():
        yield Cell(str(choice.index))


def _share(value: float, style: str) -> Cell:
    return Cell(percent(value), style, f"{value:.6g}")


def _number(value: float) -> Cell:
    return Cell(f"{value:.3f}", data=f"{value:.6f}")


def show_winner(choices: Choices, stream: TextIO) -> None:
    """The best choice's text and a newline, nothing else: exact off a terminal."""
    text = choices.ranked[0].text + "\n"
    if stream.isatty():
        TerminalWriter(stream).write(text)
    else:
        DataWriter(stream).write(text)


def as_json(choices: Choices) -> dict[str, Any]:
    """One object in OpenAI's spirit; `choices` are best first, `index` is their place as given.

    A log-probability of -inf, which JSON has not, becomes null.
    """
    request = choices.request
    return {
        "object": "choices",
        **source.fields(choices.source),
        "prompt": request.prompt,
        "prompt_tokens": choices.prompt_tokens,
        "by": request.by,
        "calibrate": request.calibrate,
        "winner": choices.ranked[0].text,
        "choices": [_choice(each) for each in choices.ranked],
    }


def _choice(choice: Choice) -> dict[str, Any]:
    calibrated = None
    if choice.calibrated is not None:
        calibrated = _numbers(choice, choice.calibrated_probability, calibrated=True)
    return {
        "text": choice.text,
        "index": choice.index,
        **_numbers(choice, choice.probability, calibrated=False),
        "calibrated": calibrated,
        "tokens": [logprob_json(each.token, each.logprob) for each in choice.tokens],
    }


def _numbers(choice: Choice, probability: float | None, *, calibrated: bool) -> dict[str, Any]:
    names = {"total": "logprob", "token": "logprob_per_token", "byte": "logprob_per_byte"}
    found = {names[by]: finite(choice.per(by, calibrated=calibrated)) for by in _BYS}
    return found | {"probability": probability}
