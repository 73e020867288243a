"""What dtypes cost against float32: a table on a terminal, tab-separated rows elsewhere, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from gptcli.types.dtype_comparison import DtypeComparison
from gptcli.ui.data.values import finite, number
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.views import source
from gptcli.ui.views.printing import blank, caption, fitted
from gptcli.ui.views.score import windows_json
from gptcli.ui.views.source import where
from gptcli.units import counted, percent

_COLUMNS = (
    Column("dtype", style="bold"),
    Column("activations", keep=1),
    Column("KL mean", right=True, style="cyan"),
    Column("KL 99%", right=True, keep=3, style="cyan"),
    Column("perplexity", right=True, keep=4),
    Column("same top token", right=True, keep=2, style="green"),
)
_DATA_HEADS = (
    *("dtype", "activations", "kl_mean", "kl_99", "perplexity", "perplexity_float32"),
    *("top1_agreement", "tokens"),
)


def show(stream: TextIO, found: Sequence[DtypeComparison]) -> None:
    """A row for each dtype; on a terminal below one of float32, with what the columns mean."""
    if not stream.isatty():
        fitted(stream, [Column(head) for head in _DATA_HEADS], list(map(_data_row, found)))
        return
    first = found[0]
    exact: list[str | Cell] = ["float32", "", "", "", _short(first.exact_perplexity), ""]
    fitted(stream, _COLUMNS, [exact, *map(_terminal_row, found)])
    blank(stream)
    count = counted(first.tokens, "token")
    if first.windows > 1:
        count += (
            f" in {first.windows} windows of {first.context_size}, each beginning {first.stride}"
            " after the one before"
        )
    caption(stream, f"KL divergence from float32 in nats, over {count}")
    caption(stream, where(first.exact))


def as_json(found: Sequence[DtypeComparison]) -> dict[str, Any]:
    """One object: float32, and `dtypes` held to it. Infinities, which JSON has not, are null."""
    first = found[0]
    return {
        "object": "score.rounding",
        **source.fields(first.exact),
        "context_tokens": first.context_tokens,
        "windows": windows_json(first),
        "tokens_scored": first.tokens,
        "perplexity": finite(first.exact_perplexity),
        "dtypes": [_dtype(each) for each in found],
    }


def _dtype(each: DtypeComparison) -> dict[str, Any]:
    precision = {"dtype": each.source.dtype}
    if each.source.activations is not None:
        precision["activations"] = each.source.activations
    return precision | {
        "kl_mean": finite(each.divergence),
        "kl_99": finite(each.divergence_99),
        "perplexity": finite(each.perplexity),
        "top1_agreement": each.agreement,
    }


def _terminal_row(each: DtypeComparison) -> list[str | Cell]:
    return [
        each.source.dtype or "",
        each.source.activations or "",
        f"{each.divergence:.3g}",
        f"{each.divergence_99:.3g}",
        _short(each.perplexity),
        percent(each.agreement),
    ]


def _data_row(each: DtypeComparison) -> list[str | Cell]:
    return [
        each.source.dtype or "",
        each.source.activations or "",
        number(each.divergence),
        number(each.divergence_99),
        number(each.perplexity),
        number(each.exact_perplexity),
        number(each.agreement),
        str(each.tokens),
    ]


def _short(value: float) -> str:
    return f"{value:.4f}" if value < 1e5 else f"{value:.3e}"
