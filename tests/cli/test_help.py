"""-h is a screen, --help is all, and what tells of the tool imports no command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gptcli.cli.app import app
from gptcli.cli.commands import ALSO
from tests.cli.helpers import run


def walk(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, *path, name)


COMMANDS = list(walk(app()))
NAMED = pytest.mark.parametrize(
    ("path", "command"), COMMANDS, ids=[" ".join(p) for p, _ in COMMANDS]
)


@NAMED
def test_brief_help_is_one_screen(path: tuple[str, ...], command: Any) -> None:
    """Catches a command whose -h scrolls away, has no example, or hides where the rest is."""
    shown = run(*path, "-h")
    assert (shown.code, shown.err) == (0, "")
    lines = shown.text.split("\n")[:-1]
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"Usage: {' '.join(('gptcli', *path))} ")
    assert command.help.partition("\n\n")[0] in lines
    examples = lines[lines.index("Examples:") + 1 : -1]
    # A subcommand of a group may have one alone, and the list of all commands.
    assert len(examples) == 2 or (len(path) != 1 and len(examples) == 1)
    assert " ".join(("gptcli", *path, "--help")) in lines[-1]
    flags = [line for line in lines if line.startswith("  -")]
    assert len(flags) <= 12


@NAMED
def test_whole_help_has_every_option_and_no_types(path: tuple[str, ...], command: Any) -> None:
    """Catches an option that only the code knows, and a flag shown as if it took a `<bool>`."""
    text = run(*path, "--help").text
    assert "BOOL" not in text and "boolean" not in text.lower()
    assert "<" not in text.replace("<|im_end|>", "")
    usage = text.splitlines()[0]
    assert usage.count("[") == usage.count("]")
    for param in command.params:
        if param.param_type_name == "option":
            for name in [*param.opts, *param.secondary_opts]:
                assert name in text
    assert text == run("help", *path).text


def test_flags_are_grouped_by_panels() -> None:
    """Catches options under no heading, or how to print before what to print."""
    text = run("complete", "--help").text
    headings = [line for line in text.split("\n") if line.endswith(":") and line[:1].isalpha()]
    panels = ["Constraints:", "Model:", "Remote:", "Prompts on the disk:", "Sampling:"]
    panels += ["Many rows:", "Output:"]
    assert headings == ["Arguments:", "Options:", *panels, "Examples:"]


def test_lines_that_are_to_be_copied_stay() -> None:
    """Catches a table of the settings file that help runs together into prose."""
    shown = run("templates", "--help").text
    assert '\n    [template.commit]\n    system = "You write commit messages."\n' in shown


def test_json_says_what_shape_it_has() -> None:
    """Catches a command whose --json promises no more than JSON."""
    said = {
        path: param.help
        for path, command in COMMANDS
        for param in command.params
        if param.name == "json" and not ALSO.keys() & set(path)
    }
    assert len(said) > 15
    assert len(set(said.values())) == len(said)
    assert all("JSON" in text and len(text) > 30 for text in said.values())


def test_expert_flags_are_in_the_whole_help_only() -> None:
    """Catches a brief help that fills with what few people use."""
    brief, whole = run("complete", "-h").text, run("complete", "--help").text
    for flag in ("--cpu-features", "--exact-activations", "--logit-bias", "--adapter-apart"):
        assert flag not in brief
        assert flag in whole


def test_help_of_what_there_is_not() -> None:
    """Catches a bug, or the help of something else, for a command that there is not."""
    shown = run("help", "models", "frobnicate")
    assert shown.code == 2
    assert shown.err == (
        "gptcli: error: COMMAND: there is no gptcli models frobnicate (see gptcli models --help)\n"
    )


def test_help_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches lines that a narrow terminal breaks within a word."""
    monkeypatch.setenv("COLUMNS", "60")
    lines = run("complete", "--help").text.split("\n")
    assert all(len(line) <= 60 for line in lines if not line.startswith("    gptcli"))


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version_imports_no_command(flag: str) -> None:
    """Catches a version that waits for all commands to be imported."""
    program = (
        "import sys\nfrom gptcli.cli.boundary import main\n"
        f"code = main([{flag!r}])\n"
        "found = [name for name in sys.modules if name.startswith('gptcli.cli.commands.')]\n"
        "print(code, *found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    version, told = done.stdout.splitlines()
    assert version.startswith("gptcli ")
    assert told == "0"


def test_a_command_imports_no_other() -> None:
    """Catches a short completion that waits for what explains attention."""
    program = (
        "import sys\nfrom gptcli.cli.boundary import main\n"
        "main(['complete', '-m', 'echo', '-n', '1', 'a'])\n"
        "found = [n for n in sys.modules if n.startswith('gptcli.cli.commands.')]\n"
        "print()\nprint(*found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "gptcli.cli.commands.complete"
