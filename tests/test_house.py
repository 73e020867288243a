"""The house itself: imports go down, start-up is light, style and types hold."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gptcli"
FLOORS = {
    "errors": 0,
    "types": 0,
    "bfloat16": 0,
    "blocks": 0,
    "config": 0,
    "inspection": 0,
    "conversation": 0,
    "benchmark": 0,
    "few_shot": 0,
    "files": 0,
    "jsonfile": 0,
    "shards": 0,
    "signals": 0,
    "tokenizer_json": 0,
    "units": 0,
    "weights_header": 0,
    "text": 1,
    "sessions": 1,
    "engine": 1,
    "models": 1,
    "backends": 2,
    "ui": 3,
    "cli": 4,
    "__main__": 5,
}
#: What a room must never know although it stands lower, as the design says.
FORBIDDEN = {"ui": {"backends", "models", "engine", "text"}, "cli": {"engine"}}
#: errors is the ground that all of floor 0 stands on; config knows what types limits.
GROUND = {
    "errors": set(),
    "types": set(),
    "bfloat16": set(),
    "blocks": {"errors"},
    "files": {"errors"},
    "jsonfile": {"errors", "files"},
    "shards": {"errors", "files", "jsonfile"},
    "config": {"errors", "types"},
    "inspection": {"types"},
    "conversation": {"inspection", "types"},
    "benchmark": {"inspection"},
    "few_shot": {"conversation", "errors", "inspection", "types"},
    "signals": set(),
    "tokenizer_json": {"errors", "files", "jsonfile"},
    "units": set(),
    "weights_header": {"errors", "jsonfile"},
}
HEAVY = {
    "torch",
    "matplotlib",
    "tokenizers",
    "jinja2",
    "huggingface_hub",
    "safetensors",
    "numpy",
    "gguf",
}
LIBRARIES = {
    "text": {"torch", "rich", "typer"},
    "sessions": {"torch", "rich", "typer"},
    "engine": {"rich", "typer", "tokenizers"},
    "models": {"torch", "rich", "typer"},
    "backends": {"rich", "typer"},
    "ui": {"torch", "typer"},
    "cli": {"torch"},
}


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> list[str]:
    """Every module that a file imports, wherever in the file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "gptcli":
            found += [f"gptcli.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return found


FILES = sorted(
    path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    """Catches a room that reaches up, sideways, or for a library it must not know."""
    room = room_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "gptcli":
            assert parts[0] not in LIBRARIES.get(room, set()), f"{room} must not know {parts[0]}"
            continue
        target = parts[1] if len(parts) > 1 else "__version__"
        if target in (room, "__version__"):
            continue
        assert target in FLOORS, f"{target} has no floor: add it to FLOORS and to the design"
        assert target not in FORBIDDEN.get(room, set()), f"{room} must not know {target}"
        if FLOORS[room] == 0:
            assert target in GROUND[room]
        else:
            assert FLOORS[target] < FLOORS[room], f"{room} imports {target}"


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["gptcli.cli", "gptcli.cli.app", "gptcli.models"])
def test_importing_the_command_line_is_light(module):
    """Catches a heavy import at the top of a module: help and completion would pay for it."""
    assert not modules_after(f"import {module}") & HEAVY


@pytest.mark.parametrize(
    "argv",
    [
        ["--help"],
        ["complete", "--help"],
        ["models", "list"],
        ["models", "families"],
        ["models", "show", str(ROOT / "tests" / "goldens" / "gpt_oss" / "mxfp4")],
    ],
)
def test_help_and_listing_never_load_the_engine(argv):
    """Catches a command that loads torch to print what it knows without it."""
    code = (
        "import io, sys, contextlib\nfrom gptcli.cli.boundary import main\n"
        f"with contextlib.redirect_stdout(io.StringIO()): assert main({argv!r}) == 0"
    )
    assert not modules_after(code) & HEAVY


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "format", "--check", "--no-cache", "."],
        ["ruff", "check", "--no-cache", "."],
        ["mypy", "--cache-dir", "/dev/null"],
    ],
    ids=["format", "lint", "types"],
)
def test_style_and_types(command):
    """Catches code that ruff or mypy would send back."""
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_runs_the_line_of_the_readme():
    """Catches a CI script and a README that say different things."""
    wanted = "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"
    assert wanted in (ROOT / "README.md").read_text().splitlines()
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    commands = [line for line in lines if line and not line.startswith(("#", "set ", "cd "))]
    assert commands == [wanted]


def test_torch_is_capped():
    """Catches losing the cap below the first torch that was not tried."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "torch>=2.8,<2.14" in project["dependencies"]
