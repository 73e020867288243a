"""The terminal as prompt_toolkit has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from gptcli.ui.terminal.stream import obeyed
from gptcli.ui.terminal.visible import neutral, unseen

if TYPE_CHECKING:
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output


def toolkit_streams(stdin: TextIO, stdout: TextIO) -> tuple[Input, Output]:
    """Where keys come from, and where it draws: no text drives the terminal there either."""
    from prompt_toolkit.input import create_input
    from prompt_toolkit.layout.screen import Char
    from prompt_toolkit.output import create_output

    # It shows controls by itself, but not what reorders or hides the line.
    Char.display_mappings |= {each: neutral(each) for each in unseen()}
    return create_input(stdin), create_output(obeyed(stdout))
