"""The moving picture of a terminal: what a reader sees of it, and that the README's is whole."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from tests.screenshots.animation import svg
from tests.screenshots.make_terminal import COMPLETE, PLACE, TOP_K
from tests.screenshots.recording import Recording

SVG = "{http://www.w3.org/2000/svg}"


def drawn(text: str) -> ElementTree.Element:
    """The only row of a screen on which `text` was written."""
    recording = Recording()
    recording._stream.feed(text)
    recording._keep(1)
    (row,) = ElementTree.fromstring(svg(recording.frames, 0, "t")).iterfind(f".//{SVG}defs/{SVG}g")
    return row


def test_text_stands_in_its_cells() -> None:
    """Catches columns that drift apart, markup in a text, faint text that looks like any other."""
    row = drawn("\x1b[2mab\x1b[0m  \x1b[1m<c> d\x1b[0m")
    found = [(each.text, each.get("x"), each.get("textLength")) for each in row]
    assert found == [("ab", "0", "16.8"), ("<c> d", "33.6", "42")]
    assert row[0].get("fill") and not row[1].get("fill")
    assert (row[0].get("class"), row[1].get("class")) == (None, "b")


def test_blocks_are_drawn() -> None:
    """Catches bars that a reader's font leaves gaps in, and half blocks without their ground."""
    bar, half = drawn("\x1b[36m██▌\x1b[0m"), drawn("\x1b[38;5;25;48;5;32m▀\x1b[0m")
    assert [each.tag for each in (*bar, *half)] == [f"{SVG}rect"] * 4
    assert [float(each.get("width", 0)) for each in bar] == [17.0, 4.4]
    assert [(each.get("height"), each.get("fill")) for each in half] == [
        ("18.2", "#0087d7"),
        ("9.2", "#005faf"),
    ]


def test_frames_stand_as_long_as_they_should() -> None:
    """Catches a reel that is pulled too far or too soon, and a poster that is another frame."""
    recording = Recording()
    for text, seconds in (("a", 1.0), ("b", 3.0)):
        recording._stream.feed(text)
        recording._keep(seconds)
    picture = svg(recording.frames, 1, "t", first=1)
    assert "0.000%{transform:translateX(0px)}25.000%{transform:translateX(-773px)}" in picture
    assert (
        ".reel{transform:translateX(-773px);animation:play 4.00s step-end -1.00s infinite}"
        in picture
    )


def test_the_committed_picture_is_whole() -> None:
    """Catches a picture that is no XML, loads something, or shows another command."""
    text = PLACE.read_text("utf-8")
    shown = "\n".join(each.text or "" for each in ElementTree.fromstring(text).iter(f"{SVG}text"))
    for command in (COMPLETE, TOP_K):
        assert f"$ {command}" in shown
    assert "1.8" in shown and "One token is drawn" in shown
    assert not re.search(r"(?:href|src)=\"[^#]|url\(|<script", text)
