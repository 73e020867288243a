"""`gptcli score --jsonl`: an older way to ask for --batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from gptcli.cli.environment import Environment
from gptcli.cli.opening import open_for
from gptcli.types.compute import Compute
from gptcli.types.rows import Row
from gptcli.types.score import ScoreRequest
from gptcli.ui.terminal.messages import Messages


def run(
    environment: Environment,
    lines: Iterator[Row | None],
    request: ScoreRequest,
    compute: Compute,
    messages: Messages,
    *,
    totals: bool,
) -> None:
    """A result for each text, as they come, without a key, up to the first error. What else its
    lines hold is left alone.
    """
    from gptcli.cli.batching import answers, looks

    try:
        first = next(lines)
    except StopIteration:
        return
    # Not before the first line is known to be good: a model takes a while to open.
    job = looks.scores(request, compute, totals=totals)
    backend, writer = open_for(compute, messages), environment.data()
    for outcome in answers.answered(map(_texts, chain([first], lines)), job, backend, messages):
        writer.json({"line": outcome.asked.row.number} | job.body(request, outcome.parts))


def _texts(row: Row | None) -> Row | None:
    if row is None:
        return None
    return replace(row, values={n: v for n, v in row.values.items() if n in ("text", "context")})
