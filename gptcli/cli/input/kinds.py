"""What a file of rows holds, by its name or by what was said: lines, jsonl, csv or tsv."""

from __future__ import annotations

from pathlib import Path

from gptcli.errors import UsageError

_BY_SUFFIX = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}


def kind_of(path: Path) -> str | None:
    """jsonl, csv or tsv by the name of a file, None for any other."""
    return _BY_SUFFIX.get(path.suffix.lower())


def told_kind(path: Path, said: str | None, flag: str, by: str = "") -> str:
    """The kind that was said, else that of the name, else lines.

    by: the flag that says it, where it is not called as the file's own with -format behind it.

    Raises UsageError for the name of a JSON file, which as lines would be texts of JSON.
    """
    if said is None and path.suffix.lower() == ".json":
        hint = f"jq -c '.[]' {path} >rows.jsonl makes rows of an array; if it has an object on each"
        hint += f" line: {by or f'{flag}-format'} jsonl"
        raise UsageError(flag, f"{path} may be one JSON value, not a row a line", hint)
    return said or kind_of(path) or "lines"


def known_kind(path: Path, flag: str, more: tuple[str, ...] = ()) -> str:
    """The kind of a file by its name. Raises UsageError for a name that tells none."""
    kind = kind_of(path)
    if kind is None:
        known = ", ".join((*_BY_SUFFIX, *more))
        raise UsageError(flag, f"{path} ends in none of {known}")
    return kind
