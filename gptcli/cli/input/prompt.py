"""The prompt, from wherever it was given: argument, option, files, stdin."""

from __future__ import annotations

from pathlib import Path

from gptcli.cli.environment import Environment
from gptcli.cli.flags.source import Spoken, checked
from gptcli.errors import InputError, UsageError, not_utf8
from gptcli.ui.terminal.messages import Messages

#: More than any context holds, and little enough to read at once.
_LARGEST = 256 << 20
#: One byte more tells that there is more.
_MOST = _LARGEST + 1
_STDIN = "-"
#: What is told of a pipe that is waited for in silence.
SILENT = "stdin: nothing has come of the pipe yet, which is waited for"


def read_prompt(
    environment: Environment,
    source: Spoken,
    messages: Messages,
    *,
    what: str = "prompt",
    example: str = 'gptcli complete "Once upon a time"',
    empty: bool = False,
) -> str:
    """All parts of the prompt, in this order, joined by newlines: files, stdin, argument.

    stdin is read where a `-` names it (at the place of a `-` among the files), and also where it
    is a pipe or a file, so that `cat notes | gptcli complete "Summary:"` does what it looks like;
    not where another flag is to read it, or none is to (--no-stdin). Where a pipe is waited for
    that says nothing, `messages` tell of it.
    One newline at the end of each file and of stdin is dropped unless `verbatim`.

    what: the word for it in errors; example: a command that has one. Raises UsageError where
    there is no prompt at all, InputError for a file that cannot be read, text that is not UTF-8,
    or a prompt that is empty, unless it may be (`empty`).
    """
    argument, option, verbatim = source.prompt, source.prompt_option, source.verbatim
    if argument is not None and option is not None:
        raise UsageError("--prompt", f"the {what} is given as an argument as well")
    text = option if option is not None else argument
    if source.no_stdin and source.names_stdin:
        raise UsageError("--no-stdin", f"- reads the {what} from there")
    stdin_named = argument == _STDIN
    if stdin_named:
        text = None
    parts = [_part(environment, file, verbatim) for file in source.file]
    if stdin_named or looks_at_stdin(environment, source):
        hint = "" if stdin_named or text is None else "; --no-stdin does without it"
        data = environment.read_bytes(_MOST, lambda: messages.hint(SILENT + hint))
        # An empty stdin beside another prompt is only what a script was started with.
        if data or (not parts and text is None):
            parts.append(_text("stdin", data, verbatim))
    if text is not None:
        parts.append(checked(text, what))
    if not parts:
        raise UsageError(what, "is missing", f"for example: {example}")
    prompt = "\n".join(parts)
    if not prompt and not empty:
        raise InputError(what, "is empty")
    return prompt


def looks_at_stdin(environment: Environment, source: Spoken) -> bool:
    """Whether something may come from there that no flag asks for: from a pipe, or a file."""
    return not (source.no_stdin or environment.interactive or environment.stdin_is_for is not None)


def read_file(environment: Environment, file: Path, *, verbatim: bool = False) -> str:
    """The text of one file. Raises InputError where it cannot be read or is not UTF-8."""
    return _part(environment, file, verbatim)


def read_lines(environment: Environment, file: Path) -> list[str]:
    """The lines of a file, or of stdin for `-`; the last needs no newline at its end.

    Raises InputError for a file that cannot be read and for text that is not UTF-8.
    """
    text = _part(environment, file, verbatim=False)
    return [line.removesuffix("\r") for line in text.split("\n")] if text else []


def _part(environment: Environment, file: Path, verbatim: bool) -> str:
    if str(file) == _STDIN:
        return _text("stdin", environment.read_bytes(_MOST), verbatim)
    return _text(str(file), _file_bytes(file), verbatim)


def _file_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error)) from None


def _text(subject: str, data: bytes, verbatim: bool) -> str:
    if len(data) > _LARGEST:
        raise InputError(subject, f"is larger than {_LARGEST >> 20} MiB")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(subject, not_utf8(error)) from None
    if verbatim:
        return text
    return text.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")
