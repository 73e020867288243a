"""`gptcli next`, which `top-k` is called too."""

from __future__ import annotations

from gptcli.cli.app import app
from gptcli.cli.commands import ALSO, COMMANDS, NAMES
from tests.cli.helpers import run


def test_both_names_do_the_same(tiny_model):
    """Catches a name that one way to read a command line does not know, or that has other flags."""
    rest = ("-m", str(tiny_model), "-k", "3", "the cat")
    for flags in ((), ("--json",), ("--stages", "--top-k", "2")):
        one, other = (run(name, *flags, *rest) for name in ("next", "top-k"))
        assert one.code == other.code == 0, one.err
        assert one.out == other.out and one.out
    short = run("next", "-h")
    assert short.code == 0 and short.text.startswith("Usage: gptcli next ")
    wrong = run("next", "--no-such-flag", "a")
    assert wrong.code == 2 and "gptcli next" in wrong.err


def test_every_name_is_listed_once():
    """Catches another name that hides a command, and one that is no command's."""
    listed = list(app().commands)
    assert len(listed) == len(set(listed)) and listed[: len(NAMES)] == list(NAMES)
    assert set(ALSO.values()) <= set(COMMANDS)
    shown = {name for name, each in app().commands.items() if not each.hidden}
    assert "next" in shown and "top-k" not in shown
    for listing in (run("-h").text, run("help").text, run("--help").text):
        assert "\n  next " in listing and "\n  top-k " not in listing
    assert run("help", "top-k").text == run("help", "next").text.replace(
        "gptcli next [", "gptcli top-k ["
    )
