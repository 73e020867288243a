"""A long text is told while it is scored, and nothing of it is kept that is told."""

from __future__ import annotations

import io
import weakref
from collections.abc import Iterator
from typing import TextIO

import pytest

from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.score import rows
from gptcli.types.compute import Compute
from gptcli.types.models import ModelDir
from gptcli.types.score import ScoreRequest, ScoreRows, ScoreRowsRequest, TokenScore
from gptcli.types.token import Source, Token
from gptcli.ui.views import score as view
from tests.ui.screens import Terminal

COUNT = 300


def told(out: TextIO, alive: list[int], written: list[int]) -> ScoreRows:
    """Rows that count, as each is asked for, how many live and how much was written."""
    living: weakref.WeakSet[TokenScore] = weakref.WeakSet()

    def made() -> Iterator[TokenScore]:
        for number in range(COUNT):
            written.append(len(out.getvalue()))  # type: ignore[attr-defined]
            each = TokenScore(Token(number, b"a\n"), -1.0 - number, 1, Token(1, b"b"), -0.5)
            living.add(each)
            yield each
            alive.append(len(living))

    return ScoreRows(
        source=Source("m", "cpu", "float32"),
        rows=made(),
        context_tokens=1,
        windows=1,
        context_size=64,
        stride=32,
    )


def _totals(out: TextIO, found: ScoreRows) -> None:
    for _ in found.tokens:
        pass
    view.show_totals(out, found)


@pytest.mark.parametrize("terminal", [False, True])
def test_rows_come_as_they_are_scored(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """2 MB printed nothing for minutes, while memory grew by all that it would print."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    out: TextIO = Terminal() if terminal else io.StringIO()
    alive: list[int] = []
    written: list[int] = []
    found = told(out, alive, written)
    view.show(out, found)
    assert len(alive) == COUNT and max(alive) <= 4
    # Something new was written before most of them.
    assert len(set(written)) > COUNT * 0.9
    assert found.totals.scored == COUNT


def test_the_fault_itself_is_seen() -> None:
    """A view that wants all of them first has all of them alive."""
    out, alive, written = io.StringIO(), [], []  # type: ignore[var-annotated]
    assert len(told(out, alive, written).whole().tokens) == COUNT
    assert max(alive) == COUNT and set(written) == {0}


def test_rows_are_what_the_whole_is(tiny_model) -> None:
    """The same tokens and totals, by windows too."""
    model = OpenModel(ModelDir("m", tiny_model, "a test"), Compute())
    request = ScoreRequest("the cat sat on the mat and the dog sat on the log " * 5)
    whole = rows(model, ScoreRowsRequest(request)).whole()
    found = rows(model, ScoreRowsRequest(request))
    assert tuple(found.tokens) == whole.tokens and found.totals == whole.totals
    assert found.windows == whole.windows > 1
