"""Colours of heat maps, and charts."""

from __future__ import annotations

import io

import pytest

from gptcli.ui.terminal.bars import columns
from gptcli.ui.terminal.heat import Heat, pooled
from tests.ui.screens import Terminal


@pytest.fixture
def colours(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("COLORTERM", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Heat(Terminal())


def test_more_is_another_colour_and_text_can_be_read(colours):
    """Catches a ramp that turns back, and white text on a light ground."""
    styles = [colours.cell(at / 8, 3, "1")[1] for at in range(9)]
    assert len(set(styles)) == 9
    assert styles[0].startswith("white") and styles[-1].startswith("black")
    assert colours.cell(0.0, 2) != colours.cell(0.03, 2)
    assert colours.cell(0.5, 4, "50")[0] == "  50"


def test_without_colours_shades_say_it(monkeypatch):
    """Catches a map that is empty with NO_COLOR."""
    monkeypatch.setenv("NO_COLOR", "1")
    heat = Heat(Terminal())
    assert [heat.cell(at / 4, 2) for at in range(5)] == [
        (mark * 2, "") for mark in (" ", "░", "▒", "▓", "█")
    ]
    assert [line.plain for line in heat.small([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])] == ["█ ", "▒▒"]


def test_a_strip_shows_every_feature_or_the_largest_of_a_few(colours):
    """Catches features that are left out of a long vector, and one large one that hides all."""
    assert [len(line.plain) for line in colours.strip([0.1] * 25, 10)] == [10, 5]
    values = [0.0] * 599 + [5.0]
    lines = colours.strip(values, 10)
    assert len(lines) == 3 and all(len(line.plain) <= 10 for line in lines)
    assert "color(214)" in str(lines[-1].spans[-1].style)
    assert "color(214)" not in str([span.style for line in lines[:2] for span in line.spans])


def test_a_small_picture_keeps_the_largest():
    """Catches a bright spot that is lost when a map is made smaller."""
    rows = [[0.0] * 50 for _ in range(50)]
    rows[33][7] = 1.0
    small = pooled(rows, 6)
    assert len(small) == 6 and {len(row) for row in small} == {6}
    assert small[4][0] == 1.0 and sum(map(sum, small)) == 1.0
    assert pooled([[0.5]], 6) == [[0.5]]


def test_columns_stand_on_the_ground():
    """Catches a chart upside down, and a column of nothing that cannot be seen."""
    assert columns([0.0, 0.5, 1.0], 1, 2) == ["  █", "▁██"]
    assert columns([1.0], 3, 1) == ["██ "]
    assert Heat(io.StringIO()).colour is False
