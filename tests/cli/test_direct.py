"""Command lines that are run without Typer mean what they mean to Typer."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from importlib import import_module
from typing import Any, get_type_hints

import pytest

from gptcli import config
from gptcli.cli import direct
from gptcli.cli.app import app
from gptcli.cli.boundary import main
from gptcli.cli.commands import COMMANDS
from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import Given, Shown, group_of, names_of

#: What may stand behind a flag: each kind of field has some that fit, and some that do not.
WORDS = ("3", "0.5", "a b", "x.txt", "", "auto", "int4", "1/2")
FILES = sorted({*COMMANDS} - {"few_shot", "ask", "activations", "patch"})
#: Typer's alone: mistakes, helps, flags in other forms, and what reads stdin.
TYPERS = (
    *("complete --help", "complete -h", "complete --no-such a", "--version", "", "nothing"),
    *("complete -n5 a", "complete -n -1 a", "complete -- a", "complete -", "complete a b"),
    *("complete --json=1 a", "complete -n", "complete --seed x a", "complete -f -"),
    *("complete --seed 1 --seed 2 a", "complete --no-color a", "complete --api-key-file x a"),
    *("few-shot a", "models list", "help complete"),
)


class Templates(dict[str, config.Template]):
    """One of every name, which says how much is written."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> config.Template:
        return config.Template(name, name, flags={"seed": 5})


class Recorded:
    """A command that does nothing but remember what it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
        self.name, self.calls = file.replace("_", "-"), list[dict[str, Any]]()
        module = import_module(f"gptcli.cli.commands.{file}")
        command = getattr(module, file)
        monkeypatch.setattr(config, "templates", Templates)

        @functools.wraps(command)
        def recording(**given: Any) -> None:
            self.calls.append(given)

        monkeypatch.setattr(module, file, recording)
        shown = shown_by(command)
        self.flags = flags_of(shown)
        self.arguments = [each for each in shown if each.option.argument]
        # One of its own: the other is made once, of the commands as they are.
        self.app = app.__wrapped__()

    def directly(self, words: list[str]) -> dict[str, Any] | None:
        """What it is called with without Typer, None where it is not."""
        found = direct.read([self.name, *words])
        if found is None:
            return None
        found.run(environment())
        return told(self.calls.pop())

    def by_typer(self, words: list[str]) -> dict[str, Any]:
        """What Typer calls it with."""
        argv = [self.name, *words]
        self.app.main(argv, prog_name="gptcli", standalone_mode=False, obj=environment())
        return told(self.calls.pop())


def shown_by(command: Callable[..., None]) -> list[Shown]:
    """The fields of all its groups."""
    hints = get_type_hints(command, include_extras=True).values()
    groups = [hint for hint in hints if hint not in (Environment, Given, type(None))]
    return [each for hint in groups for each in group_of(hint)[1]]


def flags_of(shown: list[Shown]) -> list[str]:
    return [
        flag
        for each in shown
        if not each.option.argument
        for flag in "/".join(names_of(each.field, each.option)).split("/")
    ]


@functools.cache
def first_with() -> dict[str, str]:
    """Flags → the first command that has them, in which they are tried with every word."""
    found: dict[str, str] = {}
    for file in FILES:
        command = getattr(import_module(f"gptcli.cli.commands.{file}"), file)
        for flag in flags_of(shown_by(command)):
            found.setdefault(flag, file)
    return found


def environment() -> Environment:
    return Environment(None, io.StringIO(), io.StringIO(), {"GPTCLI_SEED": "7"})


def told(call: dict[str, Any]) -> dict[str, Any]:
    """All fields, those too that do not count when groups are compared."""
    kept = {name: value for name, value in call.items() if name != "environment"}
    return {name: getattr(value, "__dict__", value) for name, value in kept.items()}


@pytest.mark.parametrize("file", FILES)
def test_every_flag_is_what_typer_makes_of_it(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a default, a number or a path that a command gets otherwise than by Typer.

    Most flags belong to groups that many commands have: every word is tried behind a flag in one
    of them, and in the others the first that it takes, which Typer is slow to read.
    """
    first = {flag for flag, command in first_with().items() if command == file}
    recorded = Recorded(monkeypatch, file)
    texts = ["text"] * len(recorded.arguments)
    lines = [[], texts, texts[:1]]
    read = {}

    def same(words: list[str]) -> bool:
        """Whether it is read, and then as by Typer."""
        found = recorded.directly(words)
        if found is not None:
            assert found == recorded.by_typer(words), words
            read[tuple(words)] = found
        return found is not None

    for flag in recorded.flags:
        tried = [[flag, *texts], *([flag, word, *texts] for word in WORDS)]
        if flag in first:
            lines += [*tried, [flag, flag, *texts], [*texts, f"{flag}={WORDS[0]}"]]
            lines.append([flag, WORDS[0], *texts, flag, WORDS[1]])
        else:
            any(map(same, tried))
    for words in lines:
        same(words)
    assert len({words[0] for words in read if words}) > len(recorded.flags) / 4
    # All at once: each of them where another is said as well.
    pairs = [words[:2] for words in read if len(words) > 1 and words[0] in recorded.flags]
    whole = [word for pair in dict(pairs).items() for word in pair if word != "text"]
    found = recorded.directly([*whole, *texts])
    assert found is None or found == recorded.by_typer([*whole, *texts])


@pytest.mark.parametrize("line", TYPERS)
def test_what_is_in_doubt_is_typer_s(line: str) -> None:
    """Catches a mistake that is told otherwise, or taken for something."""
    assert direct.read(line.split()) is None


def test_a_command_s_errors_are_those_it_raises_under_typer(capsys: pytest.CaptureFixture[str]):
    """Catches an error that comes out of the direct way as a bug."""
    code = main(["complete", "-m", "echo", "--logprobs", "2", "a"])
    assert (code, capsys.readouterr().err) == (
        2,
        "gptcli: error: --logprobs: needs --json or --html\n",
    )
