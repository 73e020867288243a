"""The environment of a command: streams, terminal, colour, variables."""

from __future__ import annotations

import io
from typing import Any

import pytest

from gptcli.cli.boundary import main
from gptcli.cli.environment import Environment
from gptcli.errors import InputError, UsageError


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Typed(io.TextIOWrapper):
    def __init__(self, data: bytes = b"", *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data))
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def environment(
    stdin: Any = None, stdout: Any = None, stderr: Any = None, **variables: str
) -> Environment:
    return Environment(stdin, stdout or io.StringIO(), stderr or io.StringIO(), variables)


def test_who_could_type() -> None:
    """Catches waiting for a person at a pipe, and reading from a stdin that is closed."""
    closed = Typed()
    closed.close()
    assert environment(None).interactive
    assert environment(closed).interactive
    assert environment(Typed(terminal=True)).interactive
    assert not environment(Typed()).interactive
    assert environment(Typed(b"abc")).read_bytes(2) == b"ab"
    for stdin in (None, closed):
        with pytest.raises(InputError, match="stdin: is closed"):
            environment(stdin).read_bytes(9)


def test_keys_need_a_terminal_at_both_ends() -> None:
    """Catches a picker that draws into a pipe, or on a terminal that cannot move its cursor."""
    typed = Typed(terminal=True)
    environment(typed, Screen(), TERM="xterm").check_keys("--pick")
    for each in (
        environment(None, Screen(), TERM="xterm"),
        environment(Typed(), Screen(), TERM="xterm"),
        environment(typed, TERM="xterm"),
    ):
        with pytest.raises(UsageError, match="--pick: needs a terminal"):
            each.check_keys("--pick")
    for variables in ({}, {"TERM": "dumb"}, {"TERM": "unknown"}):
        with pytest.raises(UsageError, match="that can move its cursor"):
            environment(typed, Screen(), **variables).check_keys("--pick")


@pytest.mark.parametrize(
    ("argv", "variables", "coloured"),
    [
        ([], {"TERM": "xterm"}, True),
        ([], {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ([], {"TERM": "dumb"}, False),
        (["--no-color"], {"TERM": "xterm"}, False),
        (["--no-color"], {"TERM": "xterm", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_comes_with_the_environment(
    argv: list[str], variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a writer that asks the process for its colours, and a --no-color that comes late."""
    monkeypatch.setenv("NO_COLOR" if coloured else "FORCE_COLOR", "1")
    screen = Screen()
    around = environment(None, io.StringIO(), screen, **variables)
    assert main(["complete", *argv, "--stop", "", "x"], around) == 2
    # Bold is no colour.
    assert ("31m" in screen.getvalue()) == coloured
    assert "--stop" in screen.getvalue()


def test_no_color_stays_in_its_run() -> None:
    """Catches a flag of one run that colours, or uncolours, the next in the same process."""
    import os

    before = dict(os.environ)
    main(["complete", "-m", "echo", "--no-color", "-n", "1", "x"], environment(Typed()))
    assert dict(os.environ) == before


def test_settings_come_from_the_variables_of_the_environment() -> None:
    """Catches a command that looks up settings in the process."""
    out = io.StringIO()
    around = environment(Typed(), out, GPTCLI_MODEL="echo", GPTCLI_MAX_NEW_TOKENS="2")
    assert main(["complete", "a b c"], around) == 0
    assert out.getvalue() == " a b"


def test_output_is_as_wide_as_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a width that is taken from the process."""
    monkeypatch.setenv("COLUMNS", "200")
    out = io.StringIO()
    main(["complete", "--help"], environment(None, out, COLUMNS="50"))
    lines = out.getvalue().split("\n")
    # Flags and examples are to be copied as they are.
    prose = [line for line in lines if not line.startswith(("    gptcli", "  -"))]
    assert max(map(len, prose)) <= 50
