"""The document of a conversation as it is shown: exact off a terminal, safe and whole on one."""

from __future__ import annotations

import io

import pytest

from gptcli.types.chat import ChatDocument, DocumentTurn
from gptcli.types.token import Source, Token
from gptcli.ui.views import chat_document as view
from tests.ui.screens import assert_unbroken, seen, written


def token(text: str | bytes, special: bool = False) -> Token:
    return Token(7, text.encode() if isinstance(text, str) else text, special)


START, END = token("<|im_start|>", special=True), token("<|im_end|>", special=True)
USER = (START, token("user\n"), token("a\x1b[2Jb "), token(b"\xe6\x97"), token(b"\xa5"), END)
DOCUMENT = ChatDocument(
    (
        # What ends it is not known: the template has changed the content.
        DocumentTurn("system", "", (START, token("sys\x1b[31mtem"), END)),
        DocumentTurn("user", "", USER, END, 5, 0.25),
        DocumentTurn("assistant", "", (START, token("assistant\n")), None, None, 0.00001),
    ),
    "the model's chat template",
    Source("tiny", "cpu", "float32"),
)


@pytest.mark.parametrize("width", [20, 60, 200])
def test_on_a_terminal(width):
    """Catches escapes that are obeyed, characters cut between tokens, and lines that break."""
    text = written(lambda stream: view.show(DOCUMENT, stream), width)
    assert "\x1b[2J" not in text and "\x1b[31mt" not in text
    assert_unbroken(text, width)
    whole = "".join(seen(text, width)).replace(" ", "")
    assert "sys\\x1b[31mtem<|im_end|>" in whole
    assert "a\\x1b[2Jb日‹25.00%›<|im_end|>" in whole
    assert "assistant‹<0.01%›" in whole
    assert "11tokens" in whole


def test_roles_are_told_apart():
    """Catches roles of one colour."""
    text = written(lambda stream: view.show(DOCUMENT, stream), 80)
    assert all(code in text for code in ("\x1b[33m", "\x1b[36m", "\x1b[1;32m", "\x1b[35m"))
    plain = written(lambda stream: view.show(DOCUMENT, stream), 80, NO_COLOR="1")
    assert "\x1b[33m" not in plain


def test_in_a_pipe_it_is_the_text():
    """Catches probabilities or a caption in what a program reads."""
    turns = (DocumentTurn("user", "a\x1b[2Jb", USER, END, 5, 0.25),)
    stream = io.StringIO()
    view.show(ChatDocument(turns, "f", Source("tiny", "cpu", "float32")), stream)
    assert stream.getvalue() == "a\x1b[2Jb"
