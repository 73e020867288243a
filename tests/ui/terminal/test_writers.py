"""The two writers, and lines on stderr."""

from __future__ import annotations

import io
import json
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from gptcli.ui.data.writer import DataWriter, cell
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.visible import isolated, neutral, one_line
from gptcli.ui.terminal.writer import TerminalWriter
from tests.ui.screens import written


@given(st.text())
def test_neutral_text_has_no_controls(text):
    """Catches a control or bidi character that a terminal would obey."""
    shown = neutral(text)
    assert not [
        c
        for c in shown
        if (unicodedata.category(c) == "Cc" and c not in "\n\t")
        or unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "PDI"}
    ]
    assert "\n" not in one_line(text)


@pytest.mark.parametrize("text", ["plain", "a\tb\nc", "日本語 👩‍👩‍👧 é", "العربية"])
def test_neutral_leaves_text_alone(text):
    """Catches escaping what people write."""
    assert neutral(text) == text


@given(st.text())
def test_data_writer_is_exact(text):
    """Catches newline translation, a lost or an added character."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="\r\n")
    try:
        wanted = text.encode()
    except UnicodeEncodeError:
        return
    DataWriter(stream).write(text)
    assert raw.getvalue() == wanted


def test_json_has_no_nan():
    """Catches output that is not JSON."""
    stream = io.StringIO()
    with pytest.raises(ValueError, match="JSON"):
        DataWriter(stream).json({"x": float("nan")})
    DataWriter(stream).json({"x": "é\n"})
    assert stream.getvalue().count("\n") == 1
    assert json.loads(stream.getvalue()) == {"x": "é\n"}


def test_terminal_writer_knows_where_the_line_ends():
    """Catches a blank line after text that ended its line, and a missing one after any other."""
    stream = io.StringIO()
    writer = TerminalWriter(stream)
    writer.end_line()
    writer.write("a")
    writer.end_line()
    writer.end_line()
    writer.write("b\n")
    writer.end_line()
    assert stream.getvalue() == "a\nb\n"


@given(st.text())
def test_whatever_is_written_to_a_terminal_has_no_effect_on_it(text):
    """Catches a way around the filter: a line, a paragraph, a table that a view forgot to clean."""
    for write in (
        lambda writer: writer.write(text),
        lambda writer: writer.write(text, style="bold"),
        lambda writer: writer.line(text, style="dim"),
        lambda writer: writer.line(Text(text, style="dim")),
        lambda writer: writer.paragraph(Text(text)),
        lambda writer: writer.draw(Text(text)),
    ):
        stream = io.StringIO()
        write(TerminalWriter(stream))
        assert neutral(stream.getvalue()) == stream.getvalue()


def test_isolates_that_a_view_sets_reach_the_terminal():
    """Catches a net so fine that right-to-left words reorder what stands beside them."""
    stream = io.StringIO()
    TerminalWriter(stream).line(Text(isolated("שלום") + "\x1b\u202e"))
    assert stream.getvalue() == "\u2068שלום\u2069\\x1b\\u202e\n"


def test_styles_stay_where_a_character_is_spelled_out():
    """Catches colours that move along because what stands before them became longer."""
    text = Text("\x1b\u202ea")
    text.stylize("bold", 2, 3)
    shown = written(lambda stream: TerminalWriter(stream).line(text), 80)
    assert shown == "\\x1b\\u202e\x1b[1ma\x1b[0m\n"


def test_rows_are_a_line_each():
    """Catches a tab or a newline in a cell that becomes another cell or row."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", newline="\r\n")
    DataWriter(stream).rows([["a\tb", "c\nd"], ["é", "\x1b\ud800"], [b"\xe2 a", "\udce2\\x"]])
    assert raw.getvalue() == ("a\\tb\tc\\nd\né\t\\x1b\\ud800\n\\xe2 a\t\\xe2\\\\x\n".encode())


@given(st.binary() | st.text().map(lambda text: text.encode(errors="replace")))
def test_a_cell_can_be_undone(data):
    """Catches two tokens that are one in a table: a newline and the letters that spell it."""
    shown = cell(data)
    assert "\t" not in shown and len(f"{shown}.".splitlines()) == 1
    ways = {"\\": b"\\", "t": b"\t", "n": b"\n", "r": b"\r"}
    parts = re.findall(r"\\x([0-9a-f]{2})|\\([tnr\\])|([^\\])", shown)
    found = (bytes.fromhex(x) if x else ways[e] if e else c.encode() for x, e, c in parts)
    assert b"".join(found) == data


def test_quiet_keeps_errors_only():
    """Catches an error that --quiet swallows, and a hint that it does not."""
    stream = io.StringIO()
    messages = Messages(stream, quiet=True)
    messages.hint("h")
    messages.info("i")
    messages.error("e")
    assert stream.getvalue() == "gptcli: error: e\n"


def test_messages_are_one_line_each_and_never_markup():
    """Catches Rich reading [bold] in a file's name, wrapping, or a name with newlines."""
    stream = io.StringIO()
    Messages(stream).error("[bold]x[/bold]\n" + "long " * 100)
    assert stream.getvalue().count("\n") == 1
    assert "[bold]x[/bold]\\n" in stream.getvalue()
