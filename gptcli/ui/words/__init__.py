"""The words of `gptcli explain`, in several languages: a TOML file for each."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Any

#: Each has a file of that name here.
LANGUAGES = ("en", "zh")


class Words:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        source = resources.files("gptcli.ui.words").joinpath(f"{language}.toml")
        self._found: dict[str, dict[str, Any]] = tomllib.loads(source.read_text(encoding="utf-8"))

    def title(self, chapter: str) -> str:
        """What a chapter is called."""
        return str(self._found[chapter]["title"])

    def lines(self, chapter: str, /, **facts: object) -> list[str]:
        """The three lines of a chapter, with the numbers of the case at hand."""
        return [line.format(**facts) for line in self._found[chapter]["lines"]]

    def phrase(self, group: str, key: str, /, **facts: object) -> str:
        """A sentence that holds only for some models, or the name of a tensor."""
        return str(self._found[group][key]).format(**facts)

    def label(self, key: str, /, **facts: object) -> str:
        """A short text beside numbers."""
        return self.phrase("label", key, **facts)
