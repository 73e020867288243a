"""Progress: a bar on a terminal, lines elsewhere, and a task that is always closed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from gptcli.types.events import Progress
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch


def task(log: list[str]):
    try:
        for done in (0, 5, 10):
            yield Progress("fetching", done, 10)
        yield Progress("converting", 0)
        return "result"
    finally:
        log.append("closed")


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def messages(*, terminal: bool, quiet: bool = False) -> tuple[Messages, io.StringIO]:
    stream = _Terminal() if terminal else io.StringIO()
    found = Messages(stream, quiet=quiet)
    found.console = Console(file=stream, force_terminal=terminal, width=60)
    return found, stream


def test_one_line_for_each_label_in_a_pipe():
    """Catches animation off a terminal, and silence there."""
    log: list[str] = []
    to, stream = messages(terminal=False)
    assert watch(task(log), to) == "result"
    assert stream.getvalue() == "gptcli: fetching (10 B)\ngptcli: converting\n"
    assert log == ["closed"]


def test_a_bar_on_a_terminal_that_goes_away():
    """Catches a bar that stays on the screen, or that is not drawn at all."""
    to, stream = messages(terminal=True)
    assert watch(task([]), to) == "result"
    assert "fetching" in stream.getvalue()
    assert "10/10 bytes" in stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_draws_nothing(terminal):
    """Catches progress that --quiet does not stop."""
    to, stream = messages(terminal=terminal, quiet=True)
    assert watch(task([]), to) == "result"
    assert stream.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_a_task_that_fails_is_closed(terminal):
    """Catches a download that goes on after Ctrl-C, and an error that is lost."""
    log: list[str] = []

    def fails():
        try:
            yield Progress("a", 0)
            raise KeyboardInterrupt
        finally:
            log.append("closed")

    to, _ = messages(terminal=terminal)
    with pytest.raises(KeyboardInterrupt):
        watch(fails(), to)
    assert log == ["closed"]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_task_without_steps_shows_nothing(terminal):
    """Catches an empty bar for a model that is here already."""

    def ready():
        return "result"
        yield

    to, stream = messages(terminal=terminal)
    assert watch(ready(), to) == "result"
    assert stream.getvalue() == ""


def test_force_color_does_not_animate_a_pipe(monkeypatch):
    """Catches a bar in the log of a machine that only wants colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    watch(task([]), Messages(stream))
    assert stream.getvalue() == "gptcli: fetching (10 B)\ngptcli: converting\n"
