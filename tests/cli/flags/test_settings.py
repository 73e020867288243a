"""A setting is one field: flag, variable, key of the user's file, manual, help and completion."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
import typer

from gptcli import config
from gptcli.cli.app import app
from gptcli.cli.environment import Environment
from gptcli.cli.flags import settings
from gptcli.cli.flags.flatten import flattened
from gptcli.cli.flags.groups import Given, but, names_of, only
from gptcli.cli.manual import pages as manual
from gptcli.cli.manual import roff
from gptcli.config import Limit, key_of, option, option_of, variable_of
from gptcli.config.option import field_of
from gptcli.errors import UsageError

HOMES = {
    name: group
    for group in settings.GROUPS
    for name in settings.setting_names()
    if any(field.name == name for field, _ in config.options_of(group))
}
#: A value that is not the default, as text.
OTHER = {
    "model": "gpt2",
    "device": "cpu",
    "dtype": "f16",
    "kv_dtype": "bfloat16",
    "cpu_features": "none",
    "activations": "int8",
    "exact_activations": "yes",
    "speculate": "off",
    "prompt_cache": "auto",
    "log": "./answers.jsonl",
    "samplers": "top_k;min_p",
}


def around(**variables: str) -> Environment:
    return Environment(None, io.StringIO(), io.StringIO(), dict(os.environ) | variables)


def walk(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, *path, name)


PARAMS = {
    name: param
    for _, command in walk(app())
    for param in command.params
    for name in [*param.opts, *param.secondary_opts]
}


@pytest.fixture(scope="module")
def man() -> str:
    return "\n".join(manual.pages().values())


@pytest.mark.parametrize("name", settings.setting_names())
def test_every_setting_is_everywhere(name: str, man: str, tmp_path) -> None:
    """Catches a setting that one of its places does not know, or knows by another name."""
    group, text = HOMES[name], OTHER.get(name, "1")
    due = config.check(group, name, text)
    assert settings.stored(around(**{variable_of(name): text})) == {name: due}
    file = config.user_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    quoted = str(due).lower() if isinstance(due, int | float) else f'"{text}"'
    file.write_text(f"{key_of(name)} = {quoted}\n")
    assert settings.stored(around()) == {name: due}
    flag = names_of(field_of(group, name), option_of(group, name))[-1].split("/")[0]
    assert flag in PARAMS
    for word in (flag, variable_of(name)):
        assert roff.bold(word) in man


@dataclass(frozen=True)
class More:
    """A group with a setting that nothing else knows."""

    newness: int | None = option(
        None,
        "How new it is.",
        *("-w", "--newness"),
        metavar="N",
        panel="Novelty",
        brief="How new.",
        limit=Limit(1, 9),
        setting=True,
    )
    colour: str = option("red", "Which colour.", choices=("red", "green"), metavar="COLOUR")
    parts: tuple[str, ...] = option((), "Its parts. Repeatable.", "--part", metavar="TEXT")
    layers: tuple[int, ...] = option(
        (7,),
        "Its layers.",
        metavar="L,…",
        parse=lambda text: tuple(map(int, text.split(","))),
        joined=True,
    )
    wanted: bool = option(False, "Whether it is wanted.")
    name: str | None = option(None, "Its name.", metavar="NAME", argument=True)


EXAMPLES = (("Look.", "gptcli look"),)
SEEN: list[Any] = []


def look(given: Given, more: More) -> None:
    """Look at it."""
    SEEN[:] = [more, given]


def changed(
    more: Annotated[More, but(newness=None, colour={"help": "Hue.", "default": "green"})],
) -> None:
    """Look otherwise."""
    SEEN[:] = [more]


def few(more: Annotated[More, only("wanted", newness={"setting": False})]) -> None:
    """Look at less."""
    SEEN[:] = [more]


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(settings, "GROUPS", (*settings.GROUPS, More))
    found = typer.Typer(name="gptcli", add_help_option=False, rich_markup_mode=None)
    for each in (look, changed, few):
        found.command(add_help_option=False)(flattened(each))
    return typer.main.get_command(found)


def run(tool: Any, *argv: str, **variables: str) -> tuple[Any, Environment]:
    environment = around(**variables)
    tool.main(list(argv), prog_name="gptcli", standalone_mode=False, obj=environment)
    return SEEN[0], environment


def test_a_new_field_is_a_flag_a_variable_and_a_key(tool: Any) -> None:
    """Catches a place where a new setting would have to be named again."""
    assert run(tool, "look")[0] == More()
    file = config.user_file()
    file.parent.mkdir(parents=True)
    file.write_text("newness = 3\n")
    assert run(tool, "look")[0].newness == 3
    assert run(tool, "look", GPTCLI_NEWNESS="4")[0].newness == 4
    assert run(tool, "look", "-w", "5", GPTCLI_NEWNESS="4")[0].newness == 5
    for argv, variables in (
        (("look", "--newness", "10"), {}),
        (("look",), {"GPTCLI_NEWNESS": "0"}),
    ):
        with pytest.raises(UsageError, match="must be from 1 to 9, not"):
            run(tool, *argv, **variables)
    file.write_text("newness = 'x'\n")
    with pytest.raises(UsageError, match="newness: must be a whole number"):
        run(tool, "look")


def test_every_kind_of_field_comes_back_as_it_is_declared(tool: Any) -> None:
    """Catches a list where a tuple was declared, and a text where its value was."""
    words = [
        "--part",
        "a",
        "--part",
        "b",
        "--layers",
        "1,2",
        "--wanted",
        "--colour",
        "green",
        "thing",
    ]
    found, _ = run(tool, "look", *words)
    assert found == More(None, "green", ("a", "b"), (1, 2), True, "thing")
    assert SEEN[1] == {"parts", "layers", "wanted", "colour", "name"}
    with pytest.raises(UsageError, match="--colour: must be one of red, green, not 'blue'"):
        run(tool, "look", "--colour", "blue")


def test_a_command_says_it_otherwise(tool: Any) -> None:
    """Catches a change that reaches other commands, and a field left out that still is a flag."""
    assert run(tool, "changed")[0].colour == "green"
    assert run(tool, "look")[0].colour == "red"
    params = {param.name: param for param in tool.commands["changed"].params}
    assert "newness" not in params
    assert params["colour"].help == "Hue."
    # What is no flag there, or no setting, is not obeyed either, right or wrong.
    assert run(tool, "changed", GPTCLI_NEWNESS="0")[0].newness is None
    assert run(tool, "few", GPTCLI_NEWNESS="4")[0].newness is None
    assert "colour" not in {param.name for param in tool.commands["few"].params}


def test_help_manual_and_completion_know_a_new_field(tool: Any) -> None:
    """Catches a help, a manual or a completion that is written by hand."""
    brief, whole = (run_help(tool, "look", flag) for flag in ("-h", "--help"))
    assert "  -w, --newness N  How new.\n" in brief
    assert "--colour" not in brief
    assert "\nNovelty:\n  -w, --newness N  How new it is.\n" in whole
    page = manual.pages(tool)["man1/gptcli-look.1"]
    assert ".SS Novelty\n.TP\n\\fB\\-w\\fR, \\fB\\-\\-newness\\fR \\fIN\\fR\nHow new it is." in page
    assert "gptcli look" in page
    assert roff.bold("GPTCLI_NEWNESS") in manual.pages(tool)["man1/gptcli.1"]
    context = typer.Context(tool.commands["look"])
    colour = next(p for p in tool.commands["look"].params if p.name == "colour")
    assert [item.value for item in colour.shell_complete(context, "g")] == ["green"]
    flags = tool.commands["look"].shell_complete(context, "--new")
    assert [item.value for item in flags] == ["--newness"]


def run_help(tool: Any, *argv: str) -> str:
    _, environment = run(tool, *argv)
    return environment.stdout.getvalue()  # type: ignore[attr-defined]
