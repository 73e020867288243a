"""Results of a batch: a JSON line for each row, in our form or in OpenAI's; what a run took."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from gptcli.batches.asked import Outcome
from gptcli.batches.run import Tally
from gptcli.errors import ContextError, GptcliError, InputError, NetworkError, UsageError
from gptcli.types.completion import Usage
from gptcli.types.events import Notice
from gptcli.ui.data.writer import json_line
from gptcli.ui.views.completion import CompletionObject
from gptcli.units import counted, seconds

#: What an answer is in JSON, from its question and its parts.
Body = Callable[[Any, tuple[Any, ...]], dict[str, Any]]


def line(outcome: Outcome, body: Body) -> str:
    """A row's result: {"id", "line", "key", …}, with an "error" in place of all else; or, where the
    row was one, a line of OpenAI's output.
    """
    return json_line(_openai(outcome, body) if outcome.asked.openai else _own(outcome, body))


def _own(outcome: Outcome, body: Body) -> dict[str, Any]:
    asked = outcome.asked
    head: dict[str, Any] = {} if asked.id is None else {"id": asked.id}
    head["line"] = asked.row.number
    if outcome.error is not None or asked.wanted is None:
        return head | {"error": _error(outcome)}
    return head | {"key": asked.key} | body(asked.wanted.question, outcome.parts)


def _openai(outcome: Outcome, body: Body) -> dict[str, Any]:
    asked = outcome.asked
    if outcome.error is not None or asked.wanted is None:
        found: dict[str, Any] = {"error": _error(outcome)}
        status = _status(outcome.error)
    else:
        answer = body(asked.wanted.question, outcome.parts)
        kind = "chatcmpl" if answer["object"] == "chat.completion" else "cmpl"
        status, found = 200, {"id": f"{kind}-{asked.key}"} | answer
    name = asked.key or f"line_{asked.row.number}"
    response = {"status_code": status, "request_id": f"req_{name}", "body": found}
    return {
        "id": f"batch_req_{name}",
        "custom_id": asked.id,
        "response": response,
        "error": None,
    }


def _error(outcome: Outcome) -> dict[str, Any]:
    """What was wrong with a row, whatever file it came from: its message, and our exit code."""
    error, subject = outcome.error, outcome.asked.row.subject
    assert error is not None
    text = str(error) if error.subject != subject else str(error)[len(subject) + 2 :]
    kind = type(error).__name__.removesuffix("Error").lower()
    return {"message": text, "type": f"{kind}_error", "code": error.exit_code}


def _status(error: GptcliError | None) -> int:
    """Of HTTP, as whoever reads OpenAI's output looks at it."""
    if isinstance(error, NetworkError):
        return 502
    return 400 if isinstance(error, InputError | UsageError | ContextError) else 500


def alone(form: CompletionObject, parts: tuple[Any, ...]) -> dict[str, Any]:
    """A completion, of which nothing tells with what others it was made."""
    found, _ = form.whole(
        replace(part, reused_tokens=0) if isinstance(part, Usage) else part
        for part in parts
        if not isinstance(part, Notice)
    )
    return found


def summary(tally: Tally, found: int) -> str:
    """`998 rows, 2 of them errors; 500 were done before`."""
    errors = f", {tally.errors} of them errors" if tally.errors else ""
    before = f"; {found} {'was' if found == 1 else 'were'} done before" if found else ""
    return f"{counted(tally.done, 'row')}{errors}{before}"


def stopped(rows: int, journal: str) -> str:
    """What is left of a run that was told to stop."""
    were = "was done, and is" if rows == 1 else "were done, and are"
    return f"{counted(rows, 'row')} {were} in {journal}, --resume goes on"


def stats_lines(tally: Tally, taken: float, model: str, seed: int | None) -> list[str]:
    """What it took, for `--stats`. Without a seed nothing was drawn."""
    rows, read, written = (
        each / taken if taken else 0.0
        for each in (tally.done, tally.prompt_tokens, tally.completion_tokens)
    )
    prompts = f"prompts: {counted(tally.prompt_tokens, 'token')}"
    found = [
        f"model: {model}",
        f"rows: {tally.done} in {seconds(taken)} ({rows:.1f} a second), {tally.errors} errors",
    ]
    if seed is None:
        return [*found, f"{prompts} ({read:.1f} tokens/s)"]
    generated = counted(tally.completion_tokens, "token")
    return [*found, prompts, f"generated: {generated} ({written:.1f} tokens/s), seed {seed}"]
