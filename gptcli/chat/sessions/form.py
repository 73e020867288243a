"""What is kept of a conversation, and how it is written: one JSON object.

{"version": 1, "name": …, "model": …, "created": …, "updated": …,
"messages": [{"role": …, "content": …}, …], "settings": {…}}

A message of the assistant has "marks" where it holds added tokens, and "reasoning_content" where
something was thought before it (see `types.chat.Message`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from gptcli.errors import InputError
from gptcli.plain import dataclass
from gptcli.types.chat import ROLES, Message

VERSION = 1


@dataclass(frozen=True)
class Session:
    """A conversation under a name: with which model, when (UTC, ISO 8601), and how drawn.

    settings: plain JSON values by the names of settings.
    """

    name: str
    model: str
    created: str
    updated: str
    messages: tuple[Message, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


def as_json(session: Session) -> dict[str, Any]:
    """A session as the object in its file."""
    return {
        "version": VERSION,
        "name": session.name,
        "model": session.model,
        "created": session.created,
        "updated": session.updated,
        "messages": [_as_json(each) for each in session.messages],
        "settings": dict(session.settings),
    }


def _as_json(message: Message) -> dict[str, Any]:
    # In OpenAI's shape.
    found: dict[str, Any] = {"role": message.role, "content": message.content}
    found |= {"reasoning_content": message.thinking} if message.thinking else {}
    return found | {"marks": [list(each) for each in message.marks]} if message.marks else found


def encode(session: Session) -> bytes:
    """The bytes of a session's file."""
    found = as_json(session)
    # A lone surrogate, which UTF-8 has no bytes for, is spelt out.
    text = json.dumps(found, ensure_ascii=False, indent=1)
    try:
        return f"{text}\n".encode()
    except UnicodeEncodeError:
        return f"{json.dumps(found, indent=1)}\n".encode()


def decode(data: bytes, subject: str) -> Session:
    """The session in a file's bytes. Raises InputError, naming `subject`, for anything else."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(subject, f"is not JSON: {error}") from None
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise InputError(subject, f"is no session of version {VERSION}")
    texts = {key: _text(found, key, subject) for key in ("name", "model", "created", "updated")}
    settings = found.get("settings")
    if not isinstance(settings, dict):
        raise InputError(subject, "'settings' must be an object")
    messages = checked_messages(found.get("messages"), subject)
    return Session(**texts, messages=messages, settings=settings)


def checked_messages(messages: object, subject: str) -> tuple[Message, ...]:
    """Messages in OpenAI's shape as ours. Raises InputError, naming `subject`."""
    if not isinstance(messages, list):
        raise InputError(subject, "'messages' must be a list")
    return tuple(_message(each, place, subject) for place, each in enumerate(messages, 1))


def _text(found: Mapping[str, Any], key: str, subject: str) -> str:
    value = found.get(key)
    if not isinstance(value, str):
        raise InputError(subject, f"{key!r} must be a text")
    return value


def _message(value: Any, place: int, subject: str) -> Message:
    role = value.get("role") if isinstance(value, dict) else None
    content = value.get("content") if isinstance(value, dict) else None
    if role not in ROLES or not isinstance(content, str):
        raise InputError(subject, f"message {place} is no role with a content")
    if role == "system" and place > 1:
        raise InputError(subject, f"message {place} is the system's, which can only be the first")
    thinking = value.get("reasoning_content", "")
    if not isinstance(thinking, str):
        raise InputError(subject, f"message {place} has a reasoning_content that is no text")
    try:
        (content + thinking).encode()
    except UnicodeEncodeError:
        raise InputError(subject, f"message {place} holds half of a surrogate pair") from None
    marks = _marks(value.get("marks", []), place, len(content), subject)
    return Message(role, content, marks, thinking if role == "assistant" else "")


def _marks(value: Any, place: int, size: int, subject: str) -> tuple[tuple[int, int], ...]:
    """[start, end) in a content of so many characters, one after the other."""
    if not isinstance(value, list):
        raise InputError(subject, f"message {place} has marks that are no list")
    found: list[tuple[int, int]] = []
    end = 0
    for each in value:
        match each:
            case [int(start), int(stop)] if end <= start < stop <= size:
                found.append((start, stop))
                end = stop
            case _:
                raise InputError(subject, f"message {place} has marks that are none")
    return tuple(found)
