"""How good answers are: figures, classes, confusions, and what they depend on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TextIO

from gptcli.evaluation.accuracy import is_right
from gptcli.types.evaluation import Accuracies, ClassFigures, Evaluation
from gptcli.types.few_shot import FewShotRequest, LeftOut, Report
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.views import source
from gptcli.ui.views.few_shot import label_json, usage_json
from gptcli.ui.views.printing import banded, blank, caption, fitted, pairs
from gptcli.units import counted, percent


def show(report: Report, stream: TextIO) -> None:
    """All figures as tables; tab-separated, with an empty line between them, in a pipe."""
    pairs(stream, list(_figures(report)))
    evaluation = report.evaluation
    if evaluation.classes:
        blank(stream)
        fitted(stream, _CLASS_COLUMNS, [_class(each) for each in evaluation.classes])
        blank(stream)
        _confusion(evaluation, stream)
    if report.left_out:
        blank(stream)
        _left_out(report.left_out, stream)


def _figures(report: Report) -> Iterator[tuple[str, str]]:
    found = report.evaluation
    yield "accuracy", f"{percent(found.accuracy)} ({found.correct} of {found.count})"
    low, high = found.interval
    yield "95% interval", f"{percent(low)} to {percent(high)} (Wilson)"
    if found.macro_f1 is not None:
        yield "macro F1", percent(found.macro_f1)
    if found.log_loss is not None:
        yield "log-loss", f"{found.log_loss:.3f} nats"
    if found.calibration_error is not None:
        yield "calibration error", f"{percent(found.calibration_error)} (ten bins)"
    if report.orders is not None:
        yield f"over {len(report.orders.values)} orders", _accuracies(report.orders)
    usage = report.usage
    yield "tokens", f"{usage.prompt_tokens} in prompts, {usage.computed_tokens} of them computed"
    if usage.completion_tokens:
        yield "generated", counted(usage.completion_tokens, "token")
    yield "seconds", f"{usage.seconds:.1f}"
    yield "model", f"{source.where(usage.source)}, seed {usage.seed}"


def _accuracies(found: Accuracies) -> str:
    deviation = f"{found.deviation * 100:.2f}"
    ends = f"from {percent(min(found.values))} to {percent(max(found.values))}"
    return f"{percent(found.mean)} ± {deviation} points, {ends}"


_CLASS_COLUMNS = [
    Column("class", shrink=True, least=8),
    *(Column(head, right=True) for head in ("precision", "recall", "F1", "due")),
]


def _class(each: ClassFigures) -> list[str | Cell]:
    shares = (each.precision, each.recall, each.f1)
    return [each.name, *map(_share, shares), str(each.support)]


def _share(value: float | None) -> Cell:
    return Cell("–", "dim", "") if value is None else Cell(percent(value), data=f"{value:.6f}")


def _confusion(evaluation: Evaluation, stream: TextIO) -> None:
    """A row for each class that was due, a column for each that was answered."""
    if evaluation.confusion is None:
        return
    names = [each.name for each in evaluation.classes]
    columns = [Column("due \\ answered", shrink=True, least=8)]
    columns += [Column(name, right=True) for name in names]
    rows = [
        [Cell(name), *(_count(n, right=i == j) for j, n in enumerate(row))]
        for i, (name, row) in enumerate(zip(names, evaluation.confusion, strict=True))
    ]
    banded(stream, columns, rows)


def _count(count: int, *, right: bool) -> Cell:
    style = "dim" if not count else "green" if right else "red"
    return Cell(str(count), style)


def _left_out(found: tuple[LeftOut, ...], stream: TextIO) -> None:
    """The examples, and how it goes without each."""
    logs = any(each.added_log is not None for each in found)
    columns = [
        Column("without", shrink=True, least=10),
        Column("output", shrink=True, least=6, keep=2),
        Column("accuracy", right=True, keep=1),
        Column("it adds", right=True),
        *([Column("nats", right=True)] if logs else []),
    ]
    fitted(stream, columns, [list(_left_out_row(each)) for each in found])
    if stream.isatty():
        more = "; nats: by how much it lowers the log-loss" if logs else ""
        caption(stream, f"it adds: points of accuracy that having the example brings{more}")


def _left_out_row(each: LeftOut) -> Iterator[Cell]:
    yield Cell(each.example.input)
    yield Cell(each.example.output)
    yield _share(each.accuracy)
    yield Cell(f"{each.added * 100:+.2f}", _sign(each.added), f"{each.added:.6f}")
    if each.added_log is not None:
        yield Cell(f"{each.added_log:+.3f}", _sign(each.added_log), f"{each.added_log:.6f}")


def _sign(value: float) -> str:
    return "green" if value > 0 else "red" if value < 0 else "dim"


def as_json(report: Report, request: FewShotRequest, model: str) -> dict[str, Any]:
    """One object: figures, rows in order, and the variations where there are any."""
    found, usage = report.evaluation, report.usage
    return {
        "object": "few_shot.evaluation",
        "model": model,
        "seed": usage.seed,
        "match": report.match,
        "examples": len(request.examples),
        "shots": request.shots,
        "order": request.order,
        "labels": list(request.labels) or None,
        "calibrate": request.calibrate,
        "count": found.count,
        "correct": found.correct,
        "accuracy": found.accuracy,
        "interval": list(found.interval),
        "macro_f1": found.macro_f1,
        "log_loss": found.log_loss,
        "calibration_error": found.calibration_error,
        "bins": [
            {
                "low": each.low,
                "high": each.high,
                "count": each.count,
                "confidence": each.confidence,
                "accuracy": each.accuracy,
            }
            for each in found.bins
        ],
        "classes": [
            {
                "name": each.name,
                "precision": each.precision,
                "recall": each.recall,
                "f1": each.f1,
                "support": each.support,
            }
            for each in found.classes
        ],
        "confusion": None if found.confusion is None else [list(row) for row in found.confusion],
        "orders": None if report.orders is None else _accuracies_json(report.orders),
        "leave_one_out": [
            {
                "input": each.example.input,
                "output": each.example.output,
                "accuracy": each.accuracy,
                "added": each.added,
                "added_log": each.added_log,
            }
            for each in report.left_out
        ]
        or None,
        "results": [
            {
                "input": each.input,
                "expected": each.outcome.expected,
                "answer": each.outcome.answer,
                "correct": is_right(each.outcome, report.match),
                "confidence": each.outcome.confidence,
                "labels": [label_json(share) for share in each.shares] or None,
            }
            for each in report.rows
        ],
        "error": None if report.stopped_by is None else str(report.stopped_by),
        "usage": usage_json(usage),
    }


def _accuracies_json(found: Accuracies) -> dict[str, Any]:
    return {
        "accuracies": list(found.values),
        "mean": found.mean,
        "deviation": found.deviation,
    }
