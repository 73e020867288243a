"""Answers that come part by part: all of them, or as many as there was time for."""

from __future__ import annotations

from typing import Any

from gptcli.types.events import Notice
from gptcli.types.token import Source


class Gathered:
    """What is known by `asked`, the first part, and by how many parts came behind it."""

    asked: Any
    found: tuple[Any, ...]

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a user should know."""
        found: tuple[Notice, ...] = self.asked.notices
        return found

    @property
    def source(self) -> Source:
        """Who computed it."""
        found: Source = self.asked.source
        return found

    @property
    def partial(self) -> bool:
        """Whether it was cut off before all was known."""
        return len(self.found) < int(self.asked.count)
