"""What is declared once, and how much of it there is."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

from gptcli.cli import app as app_module
from gptcli.cli.commands import COMMANDS
from gptcli.cli.flags import settings
from gptcli.cli.flags.groups import names_of
from gptcli.cli.flags.help import Help
from gptcli.config import options_of
from tests.sweeps import in_turn

CLI = Path(app_module.__file__).parent
COMMAND_FILES = sorted((CLI / "commands").glob("*.py"))
#: The same word for another thing, each in a command of its own.
OTHER_THINGS = {
    "--min-p": "a tree has paths",
    "--as-chat": "turns of few-shot's examples, or a prompt that is a message",
    "--by": "what choices are ranked by, or what is left out of a prompt",
    "--layer": "a map of attention, or neighbours after a layer",
    "--depth": "how deep a tree is, or how much stands before what is measured",
    "--calibrate": "by a text of choose, or whether few-shot does",
    "--layers": "those that explain tells of, or whose numbers are wanted",
    "--pool": "of a text's vectors, or of its rows of activations",
    "--prompts": "those that are kept, of models clean, or the texts of activations",
    "--steps": "a walk of top-k, or of explain",
    "--output": "a session's file, or a model's directory",
    "-o": "the same",
    "--jsonl": "prompts, or texts to be scored",
    "-n": "tokens that are decoded by bench",
    "--max-new-tokens": "the same",
    "--n-predict": "the same",
    "--max-tokens": "the same",
    "--stop": "texts that end an answer, or servers that are ended",
    "--status": "of models, told by exit code, or of servers",
    "--batch": "rows of a file, or how many bench decodes together",
    "--fail-below": "the probability of a token of complete, or of a value",
    "--parallel": "rows of a batch, or texts of a server, at once",
    "--template": "a prompt and flags of the settings file, or a form of few-shot's examples",
    "-k": "rows of a table, or ways on from a text",
    "--at": "what activations are written of, or are patched",
    "--position": "whose logit is taken apart, or which activations steer",
    "--all": "every token on a terminal, or models of other tools too",
}


def commands() -> list[Any]:
    files = (*COMMANDS, *app_module.GROUPS, app_module.HELP)
    found = [app_module.gptcli]
    for file in files:
        module = import_module(f"gptcli.cli.commands.{file}")
        found += [*getattr(module, "SUBCOMMANDS", {file: getattr(module, file, None)}).values()]
    return found


def groups() -> set[type]:
    found = {Help}
    for command in commands():
        for hint in get_type_hints(command, include_extras=True).values():
            group = get_args(hint)[0] if get_args(hint) else hint
            if hasattr(group, "__dataclass_fields__"):
                found.add(group)
    return found


def test_a_flag_is_declared_once() -> None:
    """Catches a flag that is written again, with a help and a check that will drift apart."""
    homes: dict[str, set[str]] = {}
    for group in groups():
        for field, said in options_of(group):
            # A group that builds on another has its fields, not fields of its own.
            own = (c for c in reversed(group.__mro__) if field.name in inspect.get_annotations(c))
            home = next(own)
            for names in () if said.argument else names_of(field, said):
                for name in names.split("/"):
                    homes.setdefault(name, set()).add(f"{home.__qualname__}.{field.name}")
    twice = {name: found for name, found in homes.items() if len(found) > 1}
    assert set(twice) == set(OTHER_THINGS), twice


def test_what_reads_stdin_says_so() -> None:
    """Catches a flag that takes stdin unseen, so that another one finds it empty."""
    told = {
        field.name: said.stdin
        for group in groups()
        for field, said in options_of(group)
        if re.search(r"stdin\b", said.help) and "-" in said.help and "verbatim" not in field.name
    }
    assert {name for name, reads in told.items() if reads} >= {"batch", "file", "prompt", "queries"}
    assert {name for name, reads in told.items() if not reads} == {"jsonl", "queries_format"}


def test_every_group_with_settings_is_among_those_that_are_stored() -> None:
    """Catches a setting that a command reads and no file can say."""
    with_settings = {g for g in groups() if any(said.setting for _, said in options_of(g))}
    assert with_settings == set(settings.GROUPS)


def test_signatures_are_short() -> None:
    """Catches options that are spelt out in the signatures of commands again."""
    lines = 0
    for path in COMMAND_FILES:
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                lines += node.body[0].lineno - node.lineno
    # As many more as there are commands.
    assert lines < 14 * len(COMMAND_FILES)


def test_every_option_has_a_help_that_ends() -> None:
    """Catches a help that is no sentence, and a brief one that is longer than the whole."""
    for group in groups():
        for field, said in options_of(group):
            assert said.help.endswith((".", ".)")), f"{group.__name__}.{field.name}"
            assert len(said.brief) <= 50
            assert not said.brief or said.brief.endswith((".", ".)"))


@in_turn("path", sorted(CLI.rglob("*.py")))
def test_streams_and_variables_are_the_environments(path: Path) -> None:
    """Catches a command that reads or writes what a test cannot give it."""
    if path.name in ("environment.py", "boundary.py"):
        return
    code = "\n".join(line.partition("  #")[0] for line in path.read_text().splitlines())
    own = r"sys\.(?:stdin|stdout|stderr)|os\.environ|typer\.echo|(?<![.\w])print\((?!.*file=)"
    assert not re.findall(own, code)


def test_the_boundary_guards_not_the_commands() -> None:
    """Catches a command that has to guard itself, since the next one will forget it."""
    for path in COMMAND_FILES:
        assert "guard" not in path.read_text()
    assert "guarded(" in inspect.getsource(app_module)
