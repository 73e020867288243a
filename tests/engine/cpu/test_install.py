"""Wheels with and without a compiler: `pytest -m install tests/engine/cpu`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gptcli.engine.cpu import build

ROOT = Path(__file__).parents[3]
LIBRARY = f"gptcli/engine/cpu/{build.LIBRARY}"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The source tree as it would come out of a repository."""
    to = tmp_path / "source"
    for name in ("gptcli", "man"):
        leave = shutil.ignore_patterns("*.so", "*.dylib", "__pycache__")
        shutil.copytree(ROOT / name, to / name, ignore=leave)
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, to / name)
    return to


def wheel(source: Path, **environment: str) -> Path:
    out = source.parent / "out"
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(out), str(source)]
    subprocess.run(command, check=True, timeout=900, env=os.environ | environment)
    (found,) = out.glob("*.whl")
    return found


@pytest.mark.install
def test_a_wheel_has_the_kernels_and_says_for_which_machine(source):
    """Catches a wheel without its library, or one that any machine would take."""
    made = wheel(source)
    assert made.name.split("-")[2:4] == ["py3", "none"]
    assert not made.stem.endswith("-any")
    with zipfile.ZipFile(made) as archive:
        archive.extract(LIBRARY, source.parent)
    code = (
        "import pathlib, sys\nfrom gptcli.engine.cpu.binding.library import Library\n"
        "print(Library(pathlib.Path(sys.argv[1])).instructions)"
    )
    command = [sys.executable, "-c", code, str(source.parent / LIBRARY)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() in ("avx512bf16", "avx512", "avxvnni", "avx2", "neon", "portable")


@pytest.mark.install
def test_without_a_compiler_the_wheel_is_for_every_machine(source):
    """Catches an installation that fails, or takes an old library along, without a compiler."""
    (source / LIBRARY).write_bytes(b"of before")
    tools = source.parent / "bin"
    tools.mkdir()
    made = wheel(source, PATH=str(tools))
    assert made.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(made) as archive:
        assert LIBRARY not in archive.namelist()
