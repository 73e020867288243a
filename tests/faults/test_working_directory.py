"""Modules that lie in the working directory, or beside a model, are never run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gptcli import __main__ as main_module
from tests.conftest import NOWHERE

#: Names that gptcli or what it uses imports, early and late.
MODULES = (
    *("json", "re", "typing", "types", "random", "tempfile", "string", "secrets", "platform"),
    *("subprocess", "threading", "dataclasses", "contextlib", "logging", "traceback", "resource"),
    *("typer", "rich", "tokenizers", "jinja2", "markupsafe", "safetensors", "torch", "numpy"),
    *("huggingface_hub", "gguf", "filelock", "platformdirs", "prompt_toolkit", "matplotlib"),
    *("array_api_compat", "sitecustomize", "usercustomize", "tomllib", "pip", "transformers"),
)
COMMAND = [str(Path(sys.executable).with_name("gptcli"))]
AS_MODULE = [sys.executable, "-m", "gptcli"]


def plant(directory: Path, told: Path) -> None:
    """Modules, packages and a .pth file, each of which tells where it was run."""
    for place, name in enumerate(MODULES):
        code = f"open({str(told)!r}, 'a').write({name!r} + ' ')\n"
        if place % 2:
            (directory / name).mkdir()
            (directory / name / "__init__.py").write_text(code)
        else:
            (directory / f"{name}.py").write_text(code)
    (directory / "x.pth").write_text(f"import os; open({str(told)!r}, 'a').write('pth ')\n")
    (directory / "matplotlibrc").write_text("figure.facecolor: red\nbackend: module://json\n")


def planted_in(directory: Path, model: Path) -> tuple[Path, Path]:
    """(a model directory with modules in it, the file that they would write)."""
    place, told = directory / "untrusted", directory / "told"
    place.mkdir()
    for path in model.iterdir():
        shutil.copy(path, place / path.name)
    plant(place, told)
    return place, told


@pytest.fixture
def planted(chat_model: Path, tmp_path: Path) -> tuple[Path, Path]:
    return planted_in(tmp_path, chat_model)


def run(
    place: Path, command: list[str], *argv: str, home: Path
) -> subprocess.CompletedProcess[str]:
    around = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [*command, *argv],
        cwd=place,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=around | {"GPTCLI_DATA_DIR": str(home)},
        timeout=120,
    )


def test_the_fault_itself(planted: tuple[Path, Path], tmp_path: Path) -> None:
    """A child that is started as one would start it without a thought runs them."""
    place, told = planted
    run(place, [sys.executable, "-c", "import json, numpy, torch"], home=tmp_path)
    assert {"json", "numpy", "torch"} <= set(told.read_text().split())


@pytest.mark.parametrize("command", [COMMAND, AS_MODULE], ids=["gptcli", "python -m"])
def test_a_chat_in_a_models_directory(
    command: list[str], planted: tuple[Path, Path], tmp_path: Path
) -> None:
    """Catches the worker of templates, which ran a json.py before any sandbox."""
    place, told = planted
    if command == AS_MODULE:
        # Python itself imports these, to find the module that `-m` names.
        for name in ("contextlib", "types"):
            (place / f"{name}.py").unlink(missing_ok=True)
            shutil.rmtree(place / name, ignore_errors=True)
    done = run(place, command, "chat", "-q", "-m", ".", "--show-prompt", "hi", home=tmp_path / "d")
    assert not told.exists(), told.read_text()
    assert done.returncode == 0 and "<|role|>user\nhi" in done.stdout, done.stderr


ASKED: dict[str, tuple[str, ...]] = {
    "complete": ("complete", "-m", ".", "-n", "2", "hi"),
    "complete by torch": ("complete", "-m", ".", "-n", "2", "--cpu-features", "none", "hi"),
    "chat": ("chat", "-m", ".", "--session", "s", "-n", "2", "hi"),
    "ask": ("ask", "-m", ".", "--type", "int", "hi"),
    "few-shot": ("few-shot", "-m", ".", "--example", "a", "b", "-n", "2", "--as-chat", "c"),
    "top-k": ("top-k", "-m", ".", "hi"),
    "choose": ("choose", "-m", ".", "hi", "--choice", "a", "--choice", "b"),
    "score": ("score", "-m", ".", "hi there"),
    "tokens": ("tokens", "-m", ".", "hi"),
    "tree": ("tree", "-m", ".", "hi"),
    "explain": ("explain", "-m", ".", "hi"),
    "neighbors": ("neighbors", "-m", ".", "hi"),
    "attention": ("attention", "-m", ".", "hi there", "--png", "a.png"),
    "lens": ("lens", "-m", ".", "hi", "--png", "a.png"),
    "why": ("why", "-m", ".", "hi there", "--png", "a.png"),
    "ablate": ("ablate", "-m", ".", "hi there", "--png", "a.png"),
    "patch": ("patch", "-m", ".", "--clean", "hi there", "--corrupt", "ho there"),
    "bench": ("bench", "-m", ".", "--measure", "start", "--rounds", "1"),
    "sessions": ("sessions", "list"),
    "models list": ("models", "list"),
    "models show": ("models", "show", "."),
    "models verify": ("models", "verify", "."),
    "models path": ("models", "path", "."),
    "models families": ("models", "families"),
    "models merge": ("models", "merge", ".", "--adapter", "no-such-model", "-o", "out"),
    "models pull": ("models", "pull", "no-such-model"),
    "models rm": ("models", "rm", "no-such-model"),
    "help": ("help", "complete"),
    "version": ("--version", "--verbose"),
}


#: Runs command lines as `gptcli` would; writes what each ended with, and which modules were run.
EACH = """
import json, pathlib, sys
told, lines, found = (*map(pathlib.Path, sys.argv[1:]), [])
from gptcli import __main__, signals
__main__._leave_working_directory()
signals.install()
from gptcli.cli.boundary import main
for argv in json.loads(lines.read_text()):
    print(*argv, file=sys.stderr)
    found.append((main(argv), told.read_text() if told.exists() else ""))
    told.unlink(missing_ok=True)
lines.write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def given(
    chat_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, tuple[int, str]], str]:
    """(what each of ASKED ended with and which modules it ran, what they said).

    Python starts once for all, which is most of what they take. None is found there by the
    process itself, but for what it imports late; each starts its own children.
    """
    directory = tmp_path_factory.mktemp("asked")
    place, told = planted_in(directory, chat_model)
    script, lines = directory / "scripts" / "each.py", directory / "lines"
    script.parent.mkdir()
    script.write_text(EACH)
    lines.write_text(json.dumps([*ASKED.values()]))
    argv = [sys.executable, str(script), str(told), str(lines)]
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "HF_HOME"):
            patch.setenv(name, str(directory / "home"))
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("HF_ENDPOINT", NOWHERE)
        done = run(place, argv, home=directory / "data")
    assert done.returncode == 0, done.stderr
    return dict(zip(ASKED, json.loads(lines.read_text()), strict=True)), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ASKED)
def test_every_command_in_a_models_directory(
    name: str, given: tuple[dict[str, tuple[int, str]], str]
) -> None:
    """Catches a child, or an import that comes late, of another command."""
    (code, ran), said = given[0][name], given[1]
    assert not ran
    assert code == (3 if "no-such-model" in ASKED[name] else 0), said


def test_the_working_directory_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Catches an entry that means it by another name, and one of a directory that is gone."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    other = [each for each in sys.path if os.path.realpath(each) != str(tmp_path)]
    monkeypatch.setattr(sys, "path", ["", ".", str(tmp_path), str(tmp_path / "link"), *other])
    main_module._leave_working_directory()
    assert sys.path == other
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    main_module._leave_working_directory()
    assert sys.path == other
    monkeypatch.chdir(tmp_path)
