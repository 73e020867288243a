"""The house itself: imports go down, start-up is light, style and types hold."""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gptcli"
#: The floors of the house, and of its rooms that have floors of their own, from the ground up.
#: What stands on one floor does not import each other.
FLOORS = {
    "gptcli": (
        {"atomic", "children", "errors", "plain", "signals", "tasks", "units"},
        {"config", "identity", "line_log"},
        {"types"},
        {"formats"},
        {"text", "models", "engine"},
        {"backends"},
        {"batches", "chat", "few_shot", "evaluation", "loom"},
        {"ui"},
        {"server"},
        {"cli"},
        {"__main__"},
    ),
    "gptcli.engine": (
        {"arrays"},
        {"model"},
        {"points", "host", "describe"},
        {"probe", "edits", "state"},
        {"weights"},
        {"runner"},
        {"torch", "cpu", "prompts"},
        {"asking"},
        {"probes", "open"},
    ),
    "gptcli.engine.cpu": (
        {"build", "hatch_build", "kv_dtypes"},
        {"binding"},
        {"packing"},
        {"run"},
        {"fingerprint"},
        {"choice"},
        {"opening"},
    ),
    "gptcli.ui": ({"words", "terminal"}, {"data"}, {"views"}, {"pages"}),
    "gptcli.cli": (
        {"environment", "guard"},
        {"help"},
        {"flags"},
        {"input", "opening", "exports", "gathering", "answer_log"},
        {"repl", "batching", "colouring", "loom"},
        {"commands"},
        {"app", "direct"},
        {"usage"},
        {"boundary"},
        {"manual"},
    ),
}
#: What a room must never know although it stands lower, as the design says.
FORBIDDEN = {"ui": {"backends", "models", "engine", "text"}, "cli": {"engine"}}
HEAVY = {
    "torch",
    "matplotlib",
    "tokenizers",
    "jinja2",
    "huggingface_hub",
    "safetensors",
    "numpy",
    "gguf",
    "starlette",
    "uvicorn",
    "sse_starlette",
    "prometheus_client",
    "llguidance",
}
#: Libraries that a room must not know.
LIBRARIES = {
    "types": {"torch", "numpy", "rich", "typer"},
    "formats": {"torch", "rich", "typer"},
    "text": {"torch", "rich", "typer"},
    "models": {"torch", "rich", "typer"},
    "engine": {"rich", "typer", "tokenizers"},
    "engine.cpu": {"torch"},
    "engine.weights.quantised": {"torch"},
    "backends": {"rich", "typer"},
    "batches": {"torch", "rich", "typer"},
    "chat": {"torch", "rich", "typer"},
    "loom": {"torch", "rich", "typer"},
    "few_shot": {"torch", "rich", "typer"},
    "evaluation": {"torch", "rich", "typer"},
    "ui": {"torch", "typer"},
    "server": {"torch", "rich", "typer"},
    "cli": {"torch"},
}
LONGEST = 260


@cache
def modules() -> dict[str, Path]:
    """Every module of the package and its file; a package's is its __init__.py."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


@cache
def imports(module: str) -> tuple[str, ...]:
    """Every module that a module imports, wherever in its file, each as deep as it is named."""
    found = []
    for node in ast.walk(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.append(name if name in modules() else node.module or "")
    return tuple(found)


def inside(module: str, room: str) -> str | None:
    """The part of a room that a module belongs to, None for the room itself and what is outside."""
    if not module.startswith(f"{room}."):
        return None
    return module.removeprefix(f"{room}.").partition(".")[0]


def floor(room: str, part: str) -> int:
    """Which floor of a room a part stands on."""
    found = [i for i, parts in enumerate(FLOORS[room]) if part in parts]
    assert found, f"{room}.{part} has no floor: add it to FLOORS and to the design"
    return found[0]


def faults_of(module: str) -> Iterator[str]:
    """What a module imports that it must not."""
    path = module.removeprefix("gptcli.")
    top = path.partition(".")[0]
    banned = [names for room, names in LIBRARIES.items() if f"{path}.".startswith(f"{room}.")]
    for target in imports(module):
        library = target.partition(".")[0]
        if any(library in names for names in banned):
            yield f"{module} must not know {library}"
        if inside(target, "gptcli") in FORBIDDEN.get(top, set()):
            yield f"{module} must not know {target}"
        for room in FLOORS:
            one, other = inside(module, room), inside(target, room)
            if one is None or other is None or one == other:
                continue
            if floor(room, other) >= floor(room, one):
                yield f"{module} imports {target}"


def test_imports_go_down_only():
    """Catches a room that reaches up, sideways, or for a library it must not know."""
    assert len(modules()) > 300
    assert not [fault for module in modules() for fault in faults_of(module)]


def circles() -> Iterator[list[str]]:
    """Modules that import each other, directly or through others: one way around for each."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> Iterator[list[str]]:
        if module in way:
            yield [*way[way.index(module) :], module]
            return
        if module in done:
            return
        for target in imports(module):
            if target in modules() and target != module:
                yield from walk(target, [*way, module])
        done.add(module)

    for module in modules():
        yield from walk(module, [])


def test_no_file_imports_itself_through_others():
    """Catches circles, inside a room too, and those that an import in a function hides."""
    assert not list(circles())


def test_no_file_is_long():
    """Catches a file that has become two subjects."""
    lines = {name: len(path.read_text("utf-8").splitlines()) for name, path in modules().items()}
    assert not {name: count for name, count in lines.items() if count >= LONGEST}


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
        ["models", "show", str(ROOT / "tests" / "goldens" / "llama" / "tied")],
    ],
)
def test_help_and_listing_never_load_the_engine(argv):
    """Catches a command that loads torch to print what it knows without it."""
    code = (
        "import io, sys, contextlib\nfrom gptcli.cli.boundary import main\n"
        f"with contextlib.redirect_stdout(io.StringIO()): assert main({argv!r}) == 0"
    )
    assert not modules_after(code) & HEAVY


MYPY_CACHE = Path(tempfile.gettempdir()) / "gptcli-tests" / "mypy"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["mypy", "--cache-dir", str(MYPY_CACHE)], id="types", marks=pytest.mark.first),
        pytest.param(["ruff", "format", "--check", "--no-cache", "."], id="format"),
        pytest.param(["ruff", "check", "--no-cache", "."], id="lint"),
    ],
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
    commands = [
        line for line in lines if line and not line.startswith(("#", "set ", "cd ", "export "))
    ]
    assert commands == [wanted]


def test_dependencies_say_which_versions_were_tried():
    """Catches a dependency without a lowest version, a torch without its cap (what comes after was
    not tried), and a suite that runs with another version than the package asks for.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = [Requirement(text) for text in project["dependencies"]]
    for each in needed:
        assert any(part.operator == ">=" for part in each.specifier), each
        assert each.specifier.contains(version(each.name), prereleases=True), each
    (torch,) = (each for each in needed if each.name == "torch")
    assert any(part.operator == "<" for part in torch.specifier)
