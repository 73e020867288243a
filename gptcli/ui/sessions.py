"""Messages as they are shown: who said what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from gptcli.conversation import Message
from gptcli.ui.data import DataWriter
from gptcli.ui.document import STYLES
from gptcli.ui.pieces import print_pieces
from gptcli.ui.terminal import neutral


def show_messages(messages: Sequence[Message], stream: TextIO) -> None:
    """Each message under its role; colours on a terminal, the exact contents elsewhere."""
    if not stream.isatty():
        texts = (f"{each.role}:\n{each.content}\n" for each in messages)
        DataWriter(stream).write("\n".join(texts))
        return
    for place, each in enumerate(messages):
        if place:
            print(file=stream)
        print_pieces(stream, [(f"{each.role}\n", STYLES[each.role])])
        print_pieces(stream, [(neutral(each.content), "")])
