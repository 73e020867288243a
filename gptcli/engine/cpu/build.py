"""The kernels' C++ → a shared library beside this file. Standard library only.

`python gptcli/engine/cpu/build.py` builds it in a source tree; installing gptcli does so too
(see hatch_build.py). CXX names another compiler than c++, g++ or clang++.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / "source"
LIBRARY = "libkernels.dylib" if sys.platform == "darwin" else "libkernels.so"
FLAGS = (
    # Loops that should be unrolled say so themselves: -O3 compiles half as long again, for nothing.
    *("-std=c++17", "-O2", "-fPIC", "-pthread"),
    *("-fvisibility=hidden", "-fvisibility-inlines-hidden", "-fno-math-errno"),
    # A fused multiply-add is written where it is meant: else each compiler chooses its own.
    "-ffp-contract=off",
    "-Wno-psabi",
)
_AVX2 = ("-mavx2", "-mfma", "-mf16c")
_AVX512 = (*_AVX2, *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni"))
#: What each file is compiled with beyond that, on x86-64 and on 64-bit Arm.
X86 = {
    "set_avx2.cpp": _AVX2,
    "set_avxvnni.cpp": (*_AVX2, "-mavxvnni"),
    "set_avx512.cpp": _AVX512,
    "set_avx512bf16.cpp": (*_AVX512, "-mavx512bf16"),
}
#: Twice as fast to compile, and none that is in a hurry runs it.
PORTABLE = {"set_portable.cpp": ("-O1",)}
ARM = {"set_neon.cpp": ("-march=armv8.2-a+dotprod+fp16",)}
_MINUTES = 10 * 60


class BuildError(Exception):
    """There is no compiler, or it failed; the message says which and how."""


def find_compiler() -> str:
    """The C++ compiler to use. Raises BuildError where there is none."""
    for name in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        if name and (found := shutil.which(name)):
            return found
    raise BuildError("no C++ compiler found (c++, g++, clang++, or the one named by CXX)")


def build(directory: Path = HERE) -> Path:
    """Compile everything and put the library into `directory`. Raises BuildError."""
    # Who only wants to know where the library is pays for none of these.
    import platform
    import tempfile
    from concurrent.futures import ThreadPoolExecutor

    compiler = find_compiler()
    machine = platform.machine().lower()
    special = (
        X86 if machine in {"x86_64", "amd64"} else ARM if machine in {"arm64", "aarch64"} else {}
    )
    special = special | PORTABLE
    with tempfile.TemporaryDirectory() as scratch:

        def compiled(source: Path) -> str:
            out = str(Path(scratch) / f"{source.stem}.o")
            base = [compiler, *FLAGS, "-c", str(source), "-o", out]
            extra = special.get(source.name, ())
            try:
                _run([*base, *extra])
            except BuildError:
                # An older compiler may lack one set of instructions: that file is then empty.
                if not extra:
                    raise
                _run(base)
            return out

        sources = sorted(SOURCE.glob("*.cpp"))
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            objects = list(pool.map(compiled, sources))
        # Beside its place and renamed: a process that has the old one mapped keeps it.
        # In a directory of its own: its name is nobody else's. gptcli itself, which has a way to
        # do this, cannot be imported while it is being built.
        with tempfile.TemporaryDirectory(prefix=f".{LIBRARY}.", dir=directory) as place:
            beside = Path(place, LIBRARY)
            _run([compiler, "-shared", "-pthread", *objects, "-o", str(beside)])
            beside.replace(directory / LIBRARY)
    return directory / LIBRARY


def _run(command: list[str]) -> None:
    import subprocess

    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_MINUTES)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{command[0]}: {error}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line] or ["it failed"]
        raise BuildError(f"{command[0]}: {lines[0].strip()}")


if __name__ == "__main__":
    print(build())
