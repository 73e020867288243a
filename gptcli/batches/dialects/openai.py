"""Lines of OpenAI's batch files: {"custom_id", "method", "url", "body"}.

The form is that of https://platform.openai.com/docs/guides/batch. What a body asks for and is not
done here is refused by name, as its answer would be another than the one that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gptcli.batches.asked import Id
from gptcli.batches.values import SETTINGS, id_of
from gptcli.errors import InputError
from gptcli.types.rows import Row

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
#: Which command has a url.
_COMMANDS = {COMPLETIONS: "complete", CHAT: "chat"}
_LINE = frozenset(("custom_id", "method", "url", "body"))
#: What changes no answer here: one model answers all rows.
_WITHOUT_EFFECT = frozenset(
    ("model", "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key")
)
#: What is all right as long as it asks for nothing.
_NOTHING: dict[str, tuple[Any, ...]] = {
    "stream": (None, False),
    "best_of": (None, 1),
    "suffix": (None, ""),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
    "echo": (None, False),
}


def is_line(row: Row) -> bool:
    """Whether a row is meant as one: it has a body and says to what it is posted."""
    return {"url", "body"} <= row.values.keys()


def request_of(row: Row, url: str, texts: frozenset[str]) -> tuple[Id, dict[str, Any]]:
    """The custom_id and the body of a line for `url`; texts: what a body may have beside settings.

    Raises InputError for what is no such line, or asks for what is not done here.
    """
    for name in row.values.keys() - _LINE:
        raise InputError(row.subject, f"{name!r} is no part of a line of a batch")
    if row.values.get("method", "POST") != "POST":
        raise InputError(row.subject, '"method" must be POST')
    told = row.values["url"]
    if told != url:
        command = _COMMANDS.get(told) if isinstance(told, str) else None
        hint = f"gptcli {command} --batch takes it" if command else None
        raise InputError(row.subject, f'"url" must be {url}, not {told!r:.60}', hint)
    found = id_of(row, "custom_id")
    if not isinstance(found, str):
        raise InputError(row.subject, 'has no "custom_id" that is a text')
    body = row.values["body"]
    if not isinstance(body, Mapping):
        raise InputError(row.subject, '"body" is no object')
    return found, _body(row, body, texts)


def _body(row: Row, body: Mapping[str, Any], texts: frozenset[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in body.items():
        if name in _WITHOUT_EFFECT:
            continue
        if name in _NOTHING:
            if value not in _NOTHING[name]:
                raise InputError(row.subject, f'"{name}" is not done here')
            continue
        if name not in SETTINGS and name not in texts and name != "top_logprobs":
            raise InputError(row.subject, f'"{name}" is not known here')
        found[name] = value
    return found
