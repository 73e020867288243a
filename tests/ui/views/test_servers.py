"""Servers that run, on terminals of any width."""

from __future__ import annotations

import io

import pytest

from gptcli.types.served import Status
from gptcli.ui.views import servers as view
from tests.ui.screens import assert_unbroken, seen, written

ONE = Status(
    pid=12345,
    socket="/run/a",
    model="/home/somebody/models/a-model-of-some-size/Q8_0.gguf",
    settings="--ctx-size 2048",
    since=1_790_000_000.0,
    memory=1_300 << 20,
    open=2,
    idle_seconds=0.0,
    leaves_after=None,
    address="http://127.0.0.1:8080/v1",
)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_nothing_is_lost_where_the_terminal_is_narrow(width):
    """Catches a model whose name is cut where it matters, and columns that are not there."""
    text = written(lambda stream: view.show([ONE, ONE], stream), width)
    assert_unbroken(text, width)
    screen = "".join(f"{line} " for line in seen(text, width))
    whole = screen.replace(" ", "")
    for each in (ONE.model, "--ctx-size2048", "12345", "1.4GB", ONE.address):
        assert whole.count(each) == 2, (each, screen)


def test_programs_get_columns():
    """Catches a layout for people in a pipe."""
    stream = io.StringIO()
    view.show([ONE], stream)
    heads, row = stream.getvalue().splitlines()
    told = dict(zip(heads.split("\t"), row.split("\t"), strict=True))
    assert (told["model"], told["memory"], told["open"]) == (ONE.model, str(1_300 << 20), "2")
