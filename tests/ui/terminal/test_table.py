"""Tables that fit, whatever is in them."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from gptcli.ui.terminal.tables import Column
from gptcli.ui.views.printing import fitted
from tests.sweeps import in_turn


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@in_turn("width", range(6, 60))
@pytest.mark.parametrize("cut", ["cut by logit-bias", "cut by presence/frequency-penalty", "9%"])
def test_no_row_is_wider_than_the_terminal(width, cut, monkeypatch):
    """Catches a column that may neither go nor shrink, and pushes every row over the edge."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb")
    stream = _Terminal()
    columns = [Column("token", shrink=True), Column("id", right=True, keep=1), Column("drawn")]
    fitted(stream, columns, [["␣internationalisation", "12345", cut], ["日本語", "1", "0.5%"]])
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert max(map(cell_len, lines)) <= width


def test_all_columns_are_in_a_pipe():
    """Catches a column that is dropped for a width that a pipe does not have."""
    stream = io.StringIO()
    fitted(stream, [Column("a", keep=1), Column("b")], [["x" * 500, "y"]])
    assert stream.getvalue() == f"a\tb\n{'x' * 500}\ty\n"
