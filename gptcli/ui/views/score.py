"""A scored text: coloured by surprisal, or as a table; tab-separated rows; JSON."""

from __future__ import annotations

import math
from typing import Any, TextIO

from gptcli.types.dtype_comparison import DtypeComparison
from gptcli.types.score import Score, ScoreRows, TokenScore, Totals
from gptcli.ui.data.values import finite, id_text, logprob_json
from gptcli.ui.data.writer import DataWriter, Row
from gptcli.ui.terminal.pieces import has_colour, print_pieces
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.terminal.visible import neutral, visible
from gptcli.ui.views import source
from gptcli.ui.views.printing import fitted
from gptcli.ui.views.surprisal import Palette
from gptcli.units import UNKNOWN, counted, percent

_COLUMNS = (
    Column("#", right=True, keep=2, style="dim"),
    Column("token", shrink=True, least=6),
    Column("id", right=True, keep=1, style="dim"),
    Column("bits", right=True),
    Column("logprob", right=True, keep=3),
    Column("rank", right=True, keep=6),
    Column("best", keep=5, shrink=True, least=6),
    Column("p(best)", right=True, keep=4),
)
_DATA_HEADS = ("position", "token", "id", "bits", "logprob", "rank", "best", "best_probability")


def show(stream: TextIO, score: ScoreRows, *, table: bool = False) -> None:
    """The text coloured, or the table where that is wanted or there are no colours; then totals.

    Elsewhere than on a terminal: the table alone, as TSV. All but a terminal's table, whose columns
    are as wide as they have to be, is printed as it comes.
    """
    if not stream.isatty():
        writer, held = DataWriter(stream), list[Row]([_DATA_HEADS])
        for place, each in enumerate(score.tokens):
            held.append(_data(place, each))
            # Nothing is printed before a number is there: it may be that none can be had.
            if each.logprob is not None:
                writer.rows(held)
                held.clear()
        return
    palette = Palette(stream)
    if table or not has_colour(stream):
        cells = [_row(place, each, palette) for place, each in enumerate(score.tokens)]
        fitted(stream, _COLUMNS, cells)
    else:
        print_pieces(stream, palette.coloured(score.tokens))
        print_pieces(stream, [("\n", ""), *palette.legend()])
    print_pieces(stream, [("\n", "")])
    show_totals(stream, score)


def show_totals(stream: TextIO, score: Score | ScoreRows) -> None:
    """The sums, in words."""
    print_pieces(stream, [(neutral("\n".join(_totals(score))), "")])


def data_fields(each: TokenScore | None) -> list[str | bytes]:
    """Token, id and bits for programs, empty where there is none."""
    if each is None:
        return ["", "", ""]
    return [each.token.bytes, id_text(each.token), exact_number(each.bits)]


def exact_number(value: float | None) -> str:
    """Six digits after the point, empty for None."""
    return "" if value is None else f"{value:.6f}"


def _totals(score: Score | ScoreRows) -> list[str]:
    totals, of = score.totals, score.source
    lines = [
        f"perplexity {_short(totals.perplexity)}: {_short(totals.bits_per_token)} bits per token,"
        f" {_short(totals.bits_per_byte)} per byte,"
        f" {_short(totals.bits_per_character)} per character",
        f"{counted(totals.scored, 'token')} scored",
    ]
    if totals.unscored:
        lines[-1] += f", {counted(totals.unscored, 'token')} not scored: nothing stands before it"
    if score.context_tokens:
        lines[-1] += f", after a context of {counted(score.context_tokens, 'token')}"
    if score.windows > 1:
        lines.append(
            f"{score.windows} windows of {score.context_size} tokens, each beginning"
            f" {counted(score.stride, 'token')} after the one before"
        )
    return [*lines, f"{source.named(of)} ({source.precision(of)})"]


def _row(place: int, each: TokenScore, palette: Palette) -> list[str | Cell]:
    return [
        str(place),
        visible(each.token.bytes),
        id_text(each.token, UNKNOWN),
        palette.cell(each),
        "" if each.logprob is None else f"{each.logprob:.3f}",
        "" if each.rank is None else str(each.rank),
        "" if each.best is None else visible(each.best.bytes),
        "" if each.best_logprob is None else percent(math.exp(each.best_logprob)),
    ]


def _data(place: int, each: TokenScore) -> list[str | bytes]:
    chance = None if each.best_logprob is None else math.exp(each.best_logprob)
    return [
        str(place),
        *data_fields(each),
        exact_number(each.logprob),
        "" if each.rank is None else str(each.rank),
        "" if each.best is None else each.best.bytes,
        exact_number(chance),
    ]


def _short(value: float) -> str:
    return f"{value:.4g}" if value < 1e5 else f"{value:.3e}"


def as_json(score: Score | ScoreRows, *, tokens: bool = True) -> dict[str, Any]:
    """One scored text. Infinities, which JSON has not, are null."""
    body = body_json(score, tokens=tokens)
    return {"object": "score"} | source.fields(score.source) | body


def totals_of(score: ScoreRows) -> list[tuple[str, str]]:
    """Names and values of everything but the tokens; `inf` where a token was impossible."""
    totals = score.totals
    rows = [(name, _value(totals, name)) for name in _TOTALS]
    windows = [(name, str(value)) for name, value in windows_json(score).items()]
    rows += [("context_tokens", str(score.context_tokens)), *windows]
    said = source.fields(score.source)
    told = {name: value for name, value in said.items() if value is not None}
    return rows + [(n, v if isinstance(v, str) else ", ".join(v)) for n, v in told.items()]


_TOTALS = (
    "perplexity",
    "bits_per_token",
    "bits_per_byte",
    "bits_per_character",
    "bits",
    "logprob",
    "tokens_scored",
    "tokens_not_scored",
    "bytes",
    "characters",
)
_FIELDS = {"tokens_scored": "scored", "tokens_not_scored": "unscored"}


def _value(totals: Totals, name: str) -> str:
    value = getattr(totals, _FIELDS.get(name, name))
    return str(value) if isinstance(value, int) else f"{value:.6f}"


def body_json(score: Score | ScoreRows, *, tokens: bool = True) -> dict[str, Any]:
    """A scored text, but for who scored it."""
    told = {"tokens": [_scored(each) for each in score.tokens]} if tokens else {}
    totals = score.totals
    return {
        "context_tokens": score.context_tokens,
        "windows": windows_json(score),
        "totals": {n: finite(getattr(totals, _FIELDS.get(n, n))) for n in _TOTALS},
        **told,
    }


def _scored(each: TokenScore) -> dict[str, Any]:
    found = logprob_json(each.token, each.logprob)
    found |= {"special": each.token.special, "bits": finite(each.bits), "rank": each.rank}
    best = None if each.best is None else logprob_json(each.best, each.best_logprob)
    return found | {"top_logprobs": [] if best is None else [best]}


def windows_json(of: Score | ScoreRows | DtypeComparison) -> dict[str, int | None]:
    """In how many windows a text was run, and how they follow each other."""
    return {"windows": of.windows, "context_size": of.context_size, "stride": of.stride}
