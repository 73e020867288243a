"""Lines of OpenAI's batch files: {"custom_id", "method", "url", "body"}.

The form is that of https://platform.openai.com/docs/guides/batch. What a body asks is read as the
server reads it: see formats.openai.
"""

from __future__ import annotations

from collections.abc import Mapping

from gptcli.batches.asked import Id
from gptcli.batches.own import id_of
from gptcli.errors import InputError
from gptcli.formats.openai.fields import Fields
from gptcli.types.rows import Row

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
#: Which command has a url.
_COMMANDS = {COMPLETIONS: "complete", CHAT: "chat"}
_LINE = frozenset(("custom_id", "method", "url", "body"))


def is_line(row: Row) -> bool:
    """Whether a row is meant as one: it has a body and says to what it is posted."""
    return {"url", "body"} <= row.values.keys()


def request_of(row: Row, url: str) -> tuple[Id, Fields]:
    """The custom_id and the body of a line for `url`. Raises InputError for what is none."""
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
    return found, Fields(body)


def done(fields: Fields) -> None:
    """Refuse what a row has no answer for. Raises FieldError."""
    # One model answers all rows, whatever each was written for.
    fields.text("model")
    fields.only("stream", (False,), "a row's answer comes whole")
    fields.only("echo", (False,), "is not done in a batch")
    fields.done()
