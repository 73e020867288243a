"""A value as it is shown: alone, with its probability, as JSON."""

from __future__ import annotations

from typing import Any, TextIO

from gptcli.types.ask import Value
from gptcli.ui.data.values import finite
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.writer import TerminalWriter
from gptcli.ui.views import source


def show(value: Value, stream: TextIO, *, confidence: bool) -> None:
    """The value and a new line, nothing else; with `confidence`, its probability after a tab."""
    rated = confidence and value.probability is not None
    text = value.printed + (f"\t{value.probability:.6g}" if rated else "") + "\n"
    writer = TerminalWriter(stream) if stream.isatty() else DataWriter(stream)
    writer.write(text)


def as_json(value: Value) -> dict[str, Any]:
    """One object; shares: of all answers, where they can be counted."""
    request = value.request
    return {
        "object": "value",
        **source.fields(value.source),
        "question": request.question,
        "type": request.type.kind,
        "value": value.value,
        "text": value.text,
        "probability": value.probability,
        "shares": [
            {"text": each.label, "logprob": finite(each.logprob), "probability": each.probability}
            for each in value.shares
        ],
        "usage": {"prompt_tokens": value.prompt_tokens},
    }
