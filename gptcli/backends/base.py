"""What every place to run can do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from gptcli.types import Chunk, Notice, Request, Usage

Event = Chunk | Notice | Usage


class Backend(Protocol):
    """A place where a Request becomes text."""

    def stream(self, request: Request) -> Iterator[Event]:
        """Chunks as they come, notices where due, and one Usage last.

        Raises the errors of `gptcli.errors`; the chunks before one stand. Nothing runs before the
        first event is asked for, and closing the iterator stops the work.
        """
        ...
