"""Rows that are conversations: each is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gptcli.batches.asked import Id, Wanted
from gptcli.batches.dialects import openai
from gptcli.batches.values import Values, id_of
from gptcli.errors import InputError
from gptcli.types.chat import ROLES, ChatRequest, Message
from gptcli.types.rows import Row

_TEXTS = frozenset(("messages",))
#: A message alone, by any of these names; the empty one is a plain line.
_ALONE = ("", "message", "prompt")


@dataclass(frozen=True)
class Chats:
    """`messages`, or one `message` (`prompt`) and perhaps a `system`, or a plain line.

    `default` has what a row does not say; its messages are the system's, where there is one.
    """

    default: ChatRequest

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        if openai.is_line(row):
            name, body = openai.request_of(row, openai.CHAT, _TEXTS)
            if body.pop("logprobs", None):
                body["logprobs"] = body.pop("top_logprobs", None) or 0
            elif body.pop("top_logprobs", None):
                raise InputError(row.subject, '"top_logprobs" needs "logprobs": true')
            return self._wanted(row, name, body, openai=True)
        return self._wanted(row, id_of(row), row.values, openai=False)

    def _wanted(self, row: Row, name: Id, said: Mapping[str, Any], *, openai: bool) -> Wanted:
        values = Values(row, said)
        if values.samples(1) != 1:
            raise InputError(row.subject, '"n" can only be 1 in a chat')
        default = self.default
        question = replace(
            default,
            messages=self._messages(row, said),
            sampling=values.sampling(default.sampling),
            max_new_tokens=values.max_tokens(default.max_new_tokens),
            stop=values.stop(default.stop),
            logprobs=values.logprobs(default.logprobs),
            seed=values.seed or 0,
        )
        return Wanted(question, name, seeded=values.has("seed"), own=values.any, openai=openai)

    def _messages(self, row: Row, said: Mapping[str, Any]) -> tuple[Message, ...]:
        if "messages" in said:
            found = messages_of(row, said["messages"])
        else:
            field = next((each for each in _ALONE if each in said), None)
            if field is None:
                raise InputError(row.subject, 'has no "messages" and no "message"')
            found = (Message("user", row.fixed(field)),)
            system = row.fixed("system", "")
            if system:
                found = (Message("system", system), *found)
        if not found[-1].content.strip():
            raise InputError(row.subject, "the message is empty")
        with_own = found[0].role == "system"
        return found if with_own else (*self.default.messages, *found)


def messages_of(row: Row, value: object) -> tuple[Message, ...]:
    """OpenAI's list of messages, the last one the user's. Raises InputError for anything else."""
    if not isinstance(value, list) or not value:
        raise InputError(row.subject, '"messages" must be a list of messages')
    found = tuple(_message(row, number, each) for number, each in enumerate(value, 1))
    for number, each in enumerate(found[1:], 2):
        if each.role == "system":
            raise InputError(row.subject, f"message {number}: only the first can be the system's")
    if found[-1].role != "user":
        raise InputError(row.subject, "the last message is not the user's")
    return found


def _message(row: Row, number: int, value: object) -> Message:
    what = f"message {number}"
    if not isinstance(value, Mapping):
        raise InputError(row.subject, f"{what}: is no object")
    role = "system" if value.get("role") == "developer" else value.get("role")
    if role not in ROLES:
        raise InputError(row.subject, f"{what}: its role must be one of {', '.join(ROLES)}")
    for name in value.keys() - {"role", "content", "name"}:
        if value[name]:
            raise InputError(row.subject, f'{what}: "{name}" is not known here')
    return Message(role, row.whole(_content(row, what, value.get("content")), what))


def _content(row: Row, what: str, value: object) -> str:
    """A text, or a list of parts that are texts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = [
            each.get("text") if isinstance(each, Mapping) and each.get("type") == "text" else None
            for each in value
        ]
        if parts and all(isinstance(part, str) for part in parts):
            return "".join(map(str, parts))
    raise InputError(row.subject, f"{what}: its content is no text")
