"""Words of a command line stay words: what they mean, `declared` says, which checks every one.

Typer turns each into what a parameter's annotation says, by a library that takes longer to import
than everything else that a small command needs. Where the annotation says no more than a text, a
path or several of these, there is nothing to turn.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup


def stay(command: TyperCommand | TyperGroup) -> None:
    """Have a command, and those below it, take words as they are.

    A Typer that does not ask for this is left as it is.
    """
    for each in command.params:
        kind = getattr(getattr(each, "type_descriptor", None), "annotation", None)
        if kind in _TURNED:
            turned = _Words(_TURNED[kind])
            each.get_runtime_param = lambda turned=turned: turned  # type: ignore[attr-defined]
    if isinstance(command, TyperGroup):
        for name in command.commands:
            stay(command.commands[name])  # type: ignore[arg-type]


_TURNED: dict[Any, Any] = {str: str, Path: Path, list[str]: str, list[Path]: Path, bool: bool}


class _Words:
    """In the place of what Typer turns words with."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """A word, or several, as the parameter wants them; nothing as Typer has it."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        return [self._kind(each) for each in value] if several else self._kind(value)
