"""What a long task tells on its way."""

from __future__ import annotations

from gptcli.plain import dataclass


@dataclass(frozen=True)
class Notice:
    """Something the user should know, for stderr: a prompt that ends in a space, a full context."""

    subject: str
    text: str


@dataclass(frozen=True)
class Progress:
    """How far a long task is; `total` is None where it is not known. Units are bytes, or steps."""

    label: str
    done: int
    total: int | None = None
