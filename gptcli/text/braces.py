"""Texts with `{fields}`: which fields, in which order, and where they stand."""

from __future__ import annotations

from collections.abc import Collection
from string import Formatter

from gptcli.errors import UsageError


def parse(text: str, known: Collection[str], subject: str) -> list[tuple[str, str | None]]:
    """(literal, field after it) in order, the last with None; `{{` and `}}` are braces.

    Raises UsageError, which names `subject`, for braces without their partner, for a field that is
    not known, and for format specifications.
    """
    try:
        found = list(Formatter().parse(text))
    except ValueError:
        raise UsageError(subject, f"has {_fault(text)}", "{{ and }} are braces") from None
    parts: list[tuple[str, str | None]] = []
    before = ""
    for literal, field, specification, conversion in found:
        if field is not None and (field not in known or specification or conversion):
            shown = field + (f"!{conversion}" if conversion else "")
            shown += f":{specification}" if specification else ""
            names = ", ".join(f"{{{name}}}" for name in known)
            raise UsageError(subject, f"has {{{shown}}}, but only {names} can be there")
        # A doubled brace ends a piece, too.
        before += literal
        if field is not None:
            parts.append((before, field))
            before = ""
    return [*parts, (before, None)]


def _fault(text: str) -> str:
    """The brace that has no partner, and where it is."""
    opened: int | None = None
    place = 0
    while place < len(text):
        letter = text[place]
        if letter in "{}" and text[place : place + 2] == 2 * letter and opened is None:
            place += 2
            continue
        if letter == "{":
            if opened is not None:
                break
            opened = place
        elif letter == "}":
            if opened is None:
                return f"a '}}' at character {place + 1} that closes nothing"
            opened = None
        place += 1
    where = (opened if opened is not None else len(text)) + 1
    return f"a '{{' at character {where} that is not closed"
