"""Shell completion: what is offered, what it costs, and the scripts that wheels install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from gptcli.cli.boundary import main

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
SCRIPTS = CHECKOUT / "gptcli" / "cli" / "completion_scripts"

#: What is typed, and the one candidate that is certain.
CASES = [
    ("gptcli comp", "complete"),
    ("gptcli models ver", "verify"),
    ("gptcli complete --temperat", "--temperature"),
    ("gptcli complete -m smol", "smollm2"),
    ("gptcli models rm smol", "smollm2"),
    ("gptcli exp", "explain"),
    ("gptcli attention -m smol", "smollm2"),
    ("gptcli sessions exp", "export"),
    ("gptcli chat --on-overflow dr", "drop-oldest"),
]

# A zsh in a pseudo-terminal of its own types $2 and completes; the line is then in the file $3.
ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "fpath=(${(q)1} \$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w z "shown() { zle complete-word; print -r -- \"\$BUFFER\" >| ${(q)3} }; zle -N shown"
zpty -w z "bindkey '^T' shown"
zpty -w -n z "$2"$'\C-t'
integer turn=0
while [[ ! -s $3 ]] && (( turn++ < 600 )); do sleep 0.1; zpty -rt z output; done
zpty -d z
cat -- $3
"""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment whose `gptcli` is this one, with an empty home and no models."""
    shim = tmp_path / "bin" / "gptcli"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gptcli "$@"\n')
    shim.chmod(0o755)
    own = {"HOME": tmp_path, "GPTCLI_DATA_DIR": tmp_path / "data", "HF_HOME": tmp_path / "hf"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    path = os.pathsep.join([str(shim.parent), os.environ.get("PATH", os.defpath)])
    return kept | {name: str(value) for name, value in own.items()} | {"PATH": path}


def run(arguments: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(
        arguments, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def asked_by_bash(line: str) -> dict[str, str]:
    """How bash asks: the words, and the number of the one under the cursor."""
    number = str(len(line.split()) - 1)
    return {"_GPTCLI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": number}


@pytest.fixture
def offers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], list[str]]:
    """What a line is offered, asked in this process."""

    def asked(line: str) -> list[str]:
        # It is set on that way, and put back with the others.
        for name, value in (asked_by_bash(line) | {"COLUMNS": "80"}).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main([])
        assert not ended.value.code
        return capsys.readouterr().out.split("\n")

    return asked


@pytest.mark.parametrize(("line", "candidate"), CASES)
def test_what_is_offered(line: str, candidate: str, offers: Callable[[str], list[str]]) -> None:
    """A subcommand, an option or a model's name that completion does not know."""
    offered = offers(line)
    assert candidate in offered
    assert all(word.startswith(line.split()[-1]) for word in offered if word)


def test_nothing_is_offered_for_a_file(env: dict[str, str]) -> None:
    """A candidate where the shell itself should offer the names of files."""
    asked = asked_by_bash("gptcli complete -f no")
    assert run([sys.executable, "-m", "gptcli"], env | asked).strip() == ""


def test_completion_is_light(env: dict[str, str]) -> None:
    """An import at the top of a module that makes every press of TAB wait for torch."""
    lines = ("gptcli comp", "gptcli complete -m sm", "gptcli complete --")
    program = (
        "import contextlib, os, sys\n"
        "heavy = {'torch', 'transformers', 'tokenizers', 'numpy'}\n"
        "from gptcli.cli.boundary import main\n"
        f"for asked in {[*map(asked_by_bash, lines)]}:\n"
        "    os.environ.update(asked)\n"
        "    with contextlib.suppress(SystemExit): main([])\n"
        "    print('heavy:', *sorted(heavy & set(sys.modules)), flush=True)\n"
    )
    output = run([sys.executable, "-c", program], env)
    *offered, rest = output.split("heavy:\n")
    # What is heavy stands on the same line.
    assert len(offered) == len(lines) and all(offered) and not rest


def bash(line: str, env: dict[str, str], _scratch: Path) -> list[str]:
    program = (
        'source "$1"; COMP_WORDS=($2); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ));'
        ' [[ $(complete -p gptcli) =~ -F\\ ([^ ]+) ]]; "${BASH_REMATCH[1]}" gptcli;'
        ' printf "%s\\n" "${COMPREPLY[@]}"'
    )
    script = str(SCRIPTS / "gptcli.bash")
    return run(["bash", "--norc", "-c", program, "bash", script, line], env).split("\n")


def test_bash_completes_names_with_a_colon(env: dict[str, str], tmp_path: Path) -> None:
    """Bash cuts words at colons: half a name is offered nothing, or has its beginning twice."""
    folder, commit = tmp_path / "hf" / "hub" / "models--org--name", "0" * 40
    for path, text in ((f"snapshots/{commit}/x-Q8_0.gguf", "GGUF"), ("refs/main", commit)):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(text)
    for typed, offered in (
        ("org/na", "org/name:Q8_0"),
        ("org/name :", "Q8_0"),
        ("org/name : Q", "Q8_0"),
    ):
        assert bash(f"gptcli complete -m {typed}", env, tmp_path) == [offered, ""]


def test_other_tools_models_are_offered_where_the_tool_is_named(
    offers: Callable[[str], list[str]], own_home: Path
) -> None:
    """A store of hundreds of models looked through at every TAB, or never."""
    path = own_home / ".lmstudio" / "models" / "x-Q8_0.gguf"
    path.parent.mkdir(parents=True)
    path.write_text("GGUF")
    for typed, offered in (("lmst", "lmstudio:x-Q8_0.gguf"), ("smol", "smollm2")):
        assert offers(f"gptcli complete -m {typed}")[0] == offered


def zsh(line: str, env: dict[str, str], scratch: Path) -> list[str]:
    typed = run(["zsh", "-f", "-c", ZSH, "zsh", str(SCRIPTS), line, str(scratch / "line")], env)
    return [typed.split()[-1]]


def fish(line: str, env: dict[str, str], _scratch: Path) -> list[str]:
    program = "source $argv[1]; complete --do-complete $argv[2]"
    output = run(["fish", "--no-config", "-c", program, str(SCRIPTS / "gptcli.fish"), line], env)
    return [offered.split("\t")[0] for offered in output.split("\n")]


Shell = Callable[[str, dict[str, str], Path], list[str]]
SHELLS: list[Shell] = [shell for shell in (bash, zsh, fish) if shutil.which(shell.__name__)]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "candidate"),
    [pytest.param(*each, marks=() if each in CASES[1:4] else pytest.mark.faults) for each in CASES],
)
def test_installed_scripts_complete(
    shell: Shell, line: str, candidate: str, env: dict[str, str], tmp_path: Path
) -> None:
    """A script that its shell cannot use: for zsh, at the very first TAB, from fpath."""
    assert candidate in shell(line, env, tmp_path)


def test_descriptions_for_fish_are_lines(env: dict[str, str]) -> None:
    """A description wrapped at 80 columns, of which fish makes a candidate of each line."""
    asked = {
        "_GPTCLI_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": "gptcli complete --",
    }
    lines = run([sys.executable, "-m", "gptcli"], env | asked).rstrip("\n").split("\n")
    assert all(line.startswith("--") for line in lines)


def test_the_zsh_script_is_an_autoloaded_function() -> None:
    """A comment above the line that compinit looks for, which must be the first."""
    assert (SCRIPTS / "_gptcli").read_text().startswith("#compdef gptcli\n")


def test_wheels_install_scripts_and_pages_where_shells_and_man_look() -> None:
    """A script under a name that no shell loads, or a file that the wheel names and lacks."""
    settings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    shared = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert sorted(shared.values()) == [
        "share/bash-completion/completions/gptcli",
        "share/fish/vendor_completions.d/gptcli.fish",
        "share/man",
        "share/zsh/site-functions/_gptcli",
    ]
    assert all((CHECKOUT / source).exists() for source in shared)
