"""How fast a model is: a table, rows, JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from gptcli.types.bench import BATCH_NEW, Benchmark, Rounds
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.views import source
from gptcli.ui.views.printing import caption, fitted
from gptcli.ui.views.source import where

_COLUMNS = (
    Column("measure", shrink=True, least=10, style="bold"),
    Column("median", right=True, style="cyan"),
    Column("min", right=True, keep=2),
    Column("max", right=True, keep=1),
    Column("unit"),
    Column("share", right=True, keep=3),
)


def show(found: Benchmark, stream: TextIO) -> None:
    """A row for each figure, with what the rounds differ by, and in which setting they are true."""
    fitted(stream, _COLUMNS, list(_rows(found)))
    if not stream.isatty():
        return
    speeds, rounds = found.speeds, found.request.rounds
    text = f"{rounds} rounds" if rounds > 1 else "1 round"
    if speeds.decode:
        read = "weights, KV cache and states" if speeds.state_bytes else "weights and KV cache"
        text += f"; share: of the read bandwidth, what reading {read} takes"
    caption(stream, text)
    text = where(speeds.source)
    if speeds.threads is not None:
        text += f", {speeds.threads} thread{'s' if speeds.threads > 1 else ''}"
    text += f", kernels for {speeds.kernels}" if speeds.kernels else ", through torch"
    caption(stream, text)


def _rows(found: Benchmark) -> Iterator[list[str | Cell]]:
    request, speeds, processes = found.request, found.speeds, found.processes
    if speeds.prefill:
        yield _row(f"prefill {request.prompt_tokens}", speeds.prefill, "tokens/s")
    for each in speeds.decode:
        yield _row(f"decode at {each.depth}", each.rate, "tokens/s", speeds.share(each))
    if speeds.batch:
        yield _row(f"batch {request.batch} × {BATCH_NEW}", speeds.batch, "tokens/s")
    if processes.seconds:
        yield _row("first token", processes.seconds, "s")
    if processes.peak:
        yield _row("peak memory", processes.peak, "B")
    if speeds.bandwidth:
        yield _row("read bandwidth", speeds.bandwidth, "B/s")


#: For people: the unit, how many of the exact one it is, digits after the point.
_SHOWN = {"s": ("s", 1, 3), "B": ("MB", 10**6, 0), "B/s": ("GB/s", 10**9, 1)}


def _row(name: str, figure: Rounds, unit: str, share: float | None = None) -> list[str | Cell]:
    numbers = (figure.median, figure.least, figure.most)
    shown, scale, digits = _SHOWN.get(unit, (unit, 1, 0 if figure.most >= 1000 else 1))
    exact = ".0f" if unit.startswith("B") else ".6g"
    cells = [Cell(f"{n / scale:,.{digits}f}", data=f"{n:{exact}}") for n in numbers]
    part = Cell("") if share is None else Cell(f"{share:.0%}", data=f"{share:.6f}")
    return [name, *cells, Cell(shown, "dim", unit), part]


def as_json(found: Benchmark) -> dict[str, Any]:
    """Every figure, null where it was not asked for; the medians, and `spread` least and most."""
    request, speeds, processes = found.request, found.speeds, found.processes
    decode = [
        {
            "depth": each.depth,
            "tokens_per_second": each.rate.median,
            "spread": [each.rate.least, each.rate.most],
            "read_bytes_per_token": round(each.bytes),
            "read_bandwidth_share": speeds.share(each),
        }
        for each in speeds.decode
    ]
    figures = {
        "prefill_tokens_per_second": speeds.prefill,
        "decode_tokens_per_second": speeds.decode[0].rate if speeds.decode else None,
        "batch_tokens_per_second": speeds.batch,
        "first_token_seconds": processes.seconds,
        "peak_rss_bytes": processes.peak,
        "read_bandwidth_bytes_per_second": speeds.bandwidth,
    }
    return {
        **source.fields(speeds.source),
        "threads": speeds.threads,
        "kernels": speeds.kernels,
        "rounds": request.rounds,
        "prompt_tokens": request.prompt_tokens,
        "new_tokens": request.new_tokens,
        "batch": request.batch,
        "batch_new_tokens": BATCH_NEW,
        "weight_bytes": speeds.weight_bytes,
        **({"state_bytes": speeds.state_bytes} if speeds.state_bytes else {}),
        **{name: figure.median if figure else None for name, figure in figures.items()},
        "read_bandwidth_share": decode[0]["read_bandwidth_share"] if decode else None,
        "decode": decode,
        "spread": {name: [figure.least, figure.most] for name, figure in figures.items() if figure},
    }
