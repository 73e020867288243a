"""How a conversation is written as plain text: names from flags, forms from a TOML file."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path

from gptcli.cli.environment import Environment
from gptcli.cli.flags.chat import ChatWriting
from gptcli.cli.input.prompt import read_file
from gptcli.errors import InputError, UsageError
from gptcli.types.chat import ChatForm, TranscriptForm

_KEYS = tuple(field.name for field in fields(TranscriptForm))


def chat_form(environment: Environment, writing: ChatWriting) -> ChatForm:
    """What the flags ask for. Raises UsageError for flags that exclude each other."""
    template, transcript = writing.chat_template, writing.transcript
    user, assistant = writing.user_name, writing.assistant_name
    wanted = transcript is not None or user is not None or assistant is not None
    if not wanted:
        return ChatForm(template=template)
    if template is not None:
        reason = "cannot be combined with --transcript, --user-name or --assistant-name"
        raise UsageError("--chat-template", reason)
    form = TranscriptForm() if transcript is None else read_transcript(environment, transcript)
    names = {"user_name": user, "assistant_name": assistant}
    for field, name in names.items():
        if name is not None:
            flag = f"--{field.replace('_', '-')}"
            if not name.strip():
                raise UsageError(flag, "must not be empty")
            form = replace(form, **{field: name})
    return ChatForm(transcript=form)


def read_transcript(environment: Environment, path: Path) -> TranscriptForm:
    """The form in a TOML file: `system`, `user`, `assistant`, `user_name`, `assistant_name`.

    Raises InputError for a file that is no such thing.
    """
    try:
        found = tomllib.loads(read_file(environment, path, verbatim=True))
    except (ValueError, RecursionError) as error:
        raise InputError(str(path), f"is not TOML: {error}") from None
    for key, value in found.items():
        if key not in _KEYS:
            raise InputError(str(path), f"{key!r} is no part of a transcript: {', '.join(_KEYS)}")
        if not isinstance(value, str):
            raise InputError(str(path), f"{key!r} must be a text")
    return TranscriptForm(**found)
