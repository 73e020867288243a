"""A process whose disk fails, or that is killed, at the n-th thing it does to files of a place."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: From the first write that finds no room on there is none; a broken sector fails by itself.
FULL, BROKEN, KILLED = "28+", "5", "kill"
SOURCE = Path(__file__).with_name("failing_disk.c")


@dataclass(frozen=True)
class Done:
    """How a process ended, and whether what was to fail in it did."""

    code: int
    out: str
    err: str
    calls: str

    @property
    def failed(self) -> bool:
        """Whether the fault took place."""
        return "!" in self.calls


@cache
def _library(directory: Path) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    assert compiler, "the kernels' compiler has a C compiler beside it"
    to = directory / "failing_disk.so"
    command = [compiler, "-shared", "-fPIC", "-O1", str(SOURCE), "-o", str(to), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return to


class Disk:
    """Runs Python with a disk that fails under `place`; scratch: a directory elsewhere."""

    def __init__(self, place: Path, scratch: Path) -> None:
        self.place, self.scratch = place, scratch
        scratch.mkdir(parents=True, exist_ok=True)

    def run(self, *arguments: str, at: int = 0, how: str = "") -> Done:
        """`python *arguments`; 0: nothing fails."""
        told = self.scratch / "told"
        told.write_text("")
        environment = os.environ | {
            "LD_PRELOAD": str(_library(self.scratch)),
            "FAULT_UNDER": str(self.place),
            "FAULT_TOLD": str(told),
            "FAULT_AT": str(at),
            "FAULT_HOW": how,
        }
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True
        )
        return Done(done.returncode, done.stdout, done.stderr, told.read_text())


def parts(place: Path) -> list[Path]:
    """What is left of writing that never came to its end."""
    return [path for path in place.rglob("*") if path.name.endswith("part")]
