"""Tokens as JSON."""

from __future__ import annotations

import json

from gptcli.types.token import Token
from gptcli.types.tokens import Tokens
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.stream import with_variables
from gptcli.ui.views import tokens as tokens_view
from tests.ui.screens import Terminal


def test_json_on_a_terminal_is_json_still():
    r"""Catches `\x7f`, which JSON has not, where a terminal's stream spells a control itself."""
    text = "\x7f\u200b\U000e0041"
    known = {3: Token(3, text.encode())}
    terminal = Terminal()
    writer = DataWriter(with_variables(terminal, {}))
    tokens_view.write_json(writer, Tokens("m", (3,), known, text.encode()))
    assert json.loads(terminal.getvalue())["tokens"][0]["token"] == text
    assert text not in terminal.getvalue()
