"""The engine of this machine: the only place where text meets token ids and tensors.

`opened` holds an open model; each other file answers one kind of request with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.backends.base import Event
from gptcli.backends.local.opened import OpenModel
from gptcli.types import Request


class LocalBackend:
    """A model of this disk, loaded."""

    def __init__(self, model: OpenModel) -> None:
        self._open = model

    def stream(self, request: Request) -> Iterator[Event]:
        """See Backend.stream. Notices about the prompt come first."""
        from gptcli.backends.local.completion import Completion

        yield from Completion(self._open, request).events()
