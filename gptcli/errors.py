"""Every way gptcli can fail on purpose, and the exit code of each.

    GptcliError            1  (never raised itself: an exit code 1 is a bug)
    ├── UsageError         2  a flag or an argument that cannot be
    ├── ModelError         3  a model or cache file that is missing, broken or unsupported
    ├── InputError         4  input data that cannot be used
    ├── ContextError       5  more tokens than the context holds
    ├── ResourceError      6  memory or disk
    ├── NetworkError       7  network or remote
    ├── NonFiniteError     8  NaN or infinite numbers where a probability was due
    └── UncertainError     9  a token less probable than was allowed

An error has a subject (the file, the argument, the model), a reason and, where one helps, a hint.
"""

from __future__ import annotations


class GptcliError(Exception):
    """A failure with a subject, a reason and an exit code, shown to the user as one line."""

    exit_code = 1

    def __init__(self, subject: str, reason: str, hint: str | None = None) -> None:
        super().__init__(subject, reason, hint)
        self.subject = subject
        self.reason = reason
        self.hint = hint

    def __str__(self) -> str:
        line = f"{self.subject}: {self.reason}"
        return f"{line} ({self.hint})" if self.hint else line


def not_utf8(error: UnicodeDecodeError) -> str:
    """The reason of bytes that are no text, with the first of them and its place."""
    return f"is not UTF-8: byte 0x{error.object[error.start]:02x} at offset {error.start}"


class UsageError(GptcliError):
    """A flag, an argument or a setting that cannot be."""

    exit_code = 2


class ModelError(GptcliError):
    """A model or cache file that is missing, broken or not supported."""

    exit_code = 3


class InputError(GptcliError):
    """Input data (a prompt, a file of prompts) that cannot be used."""

    exit_code = 4


class ContextError(GptcliError):
    """More tokens than the model's context holds."""

    exit_code = 5


class ResourceError(GptcliError):
    """Out of memory or of disk, or a file that the system will not let us write."""

    exit_code = 6


class NetworkError(GptcliError):
    """The network, an index or a remote server failed."""

    exit_code = 7


class NonFiniteError(GptcliError):
    """NaN, or nothing but -inf, where a distribution over tokens was due."""

    exit_code = 8


class UncertainError(GptcliError):
    """A token was drawn that is less probable than --fail-below allows."""

    exit_code = 9
