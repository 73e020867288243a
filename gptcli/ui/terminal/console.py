"""What a console of rich's writes, with nothing in it that a terminal obeys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TextIO

from rich.console import Console
from rich.segment import Segment

from gptcli.ui.terminal.stream import obeyed
from gptcli.ui.terminal.visible import Neutral


class HarmlessConsole(Console):
    """A console that draws no text but a harmless one, by whatever way it came.

    A view makes its texts visible itself, where it knows how wide they may be. This is the net
    below it, for a view that forgets to; isolates may pass, which views set.
    """

    def __init__(self, stream: TextIO, **settings: Any) -> None:
        super().__init__(file=obeyed(stream), **settings)
        self._net = Neutral(isolates=True)

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        # All that Rich writes comes through here: styles and moves of the cursor become escape
        # sequences now, beside texts that have none any more.
        return super()._render_buffer(self._harmless(each) for each in buffer)

    def _harmless(self, each: Segment) -> Segment:
        return each if each.control else Segment(self._net(each.text), each.style)
