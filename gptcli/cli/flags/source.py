"""Where a text comes from, and how it is read."""

from __future__ import annotations

from pathlib import Path

from gptcli.config import option
from gptcli.errors import InputError
from gptcli.plain import dataclass


@dataclass(frozen=True)
class Special:
    """Whether what looks like a control token is one."""

    special: bool = option(
        False,
        "Read control tokens such as <|im_end|> in the prompt as tokens, and show those that the"
        " model writes.",
    )


@dataclass(frozen=True)
class Spoken:
    """A text from an argument, an option, files or stdin."""

    prompt: str | None = option(
        None, "The text; - reads stdin.", metavar="PROMPT", argument=True, stdin=True
    )
    prompt_option: str | None = option(
        None, "The text, for scripts.", *("-p", "--prompt"), metavar="TEXT"
    )
    file: tuple[Path, ...] = option(
        (),
        "Read the prompt from a file, - is stdin. Repeatable.",
        *("-f", "--file"),
        metavar="FILE",
        brief="Read it from a file, - is stdin.",
        stdin=True,
    )
    verbatim: bool = option(False, "Keep the last newline of files and of stdin in the prompt.")
    no_stdin: bool = option(
        False, "Look at no pipe: the prompt is what the command line names. For loops and cron."
    )

    @property
    def named(self) -> bool:
        """Whether the command line says where the text is; else it may come from a pipe."""
        return self.prompt is not None or self.prompt_option is not None or bool(self.file)

    @property
    def names_stdin(self) -> bool:
        """Whether it says that the text, or part of it, is in stdin."""
        return self.prompt == "-" or Path("-") in self.file


@dataclass(frozen=True)
class Source(Special, Spoken):
    """A text of which the model reads every token."""


def checked(text: str, subject: str = "prompt") -> str:
    """A text of the command line. Raises InputError where it was not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(subject, f"is not UTF-8 at character {error.start}") from None
    return text
