"""Regular expressions over module names, from configs that nobody vouches for."""

from __future__ import annotations

import re

from gptcli.engine.model.config_fields import ConfigFields

_LONGEST = 2000
#: A repeated group may take exponential time to fail; names need none.
_REPEATED_GROUP = re.compile(r"(?<!\\)\)(?:[*+]|\{\d*,?\d*\})")
_MOST_REPEATS = 24


class Pattern:
    """A regular expression. Raises ModelError for one that is none, or that might take for ever."""

    def __init__(self, fields: ConfigFields, name: str, text: str) -> None:
        """`fields` and `name` say where it stands, for errors."""
        repeats = len(re.findall(r"[*+]|\{\d+,\d*\}", text))
        if len(text) > _LONGEST or repeats > _MOST_REPEATS or _REPEATED_GROUP.search(text):
            raise fields.bad(name, f"has a regular expression that is not allowed: {text[:60]!r}")
        try:
            self._compiled = re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            shown = f"{text[:60]!r}: {error}"
            raise fields.bad(name, f"has a broken regular expression: {shown}") from None

    def begins(self, text: str) -> bool:
        """Whether it matches at the beginning of the text."""
        return self._compiled.match(text) is not None

    def is_whole(self, text: str) -> bool:
        """Whether it matches the whole text."""
        return self._compiled.fullmatch(text) is not None
