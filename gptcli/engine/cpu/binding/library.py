"""The compiled kernels: where they are, or why they are not there, and which instructions."""

from __future__ import annotations

import ctypes as c
import functools
import os
from pathlib import Path

from gptcli.engine.cpu.binding import abi
from gptcli.engine.cpu.build import HERE, LIBRARY
from gptcli.engine.host.cgroup import cpu_limit
from gptcli.errors import UsageError
from gptcli.types.compute import CPU_FEATURES

#: Leaves everything to torch.
OFF = "none"
#: "auto" is the best that this processor has.
FEATURES = tuple(name for name in CPU_FEATURES if name != OFF)
ABI = 3

DONE, NO_MEMORY = 0, 1


class KernelsUnavailableError(Exception):
    """The kernels cannot be used here; the message says why, in a few words."""


class Library:
    """The functions of source/library.cpp, for one set of instructions."""

    def __init__(self, path: Path, features: str = "auto") -> None:
        if not path.exists():
            raise KernelsUnavailableError("they were not built when gptcli was installed")
        try:
            functions = c.CDLL(str(path))
            _declare(functions)
        except (OSError, AttributeError) as error:
            raise KernelsUnavailableError(f"{path}: {error}") from None
        if functions.kernels_abi() != ABI:
            raise KernelsUnavailableError(f"{path}: built from other sources than these")
        found = functions.kernels_set(b"" if features == "auto" else features.encode())
        if found is None:
            raise KernelsUnavailableError(f"this processor, or this build, has no {features}")
        self.path = path
        self.functions = functions
        #: The set of instructions in use, one of FEATURES.
        self.instructions: str = found.decode()

    def close(self) -> None:
        """End the threads that the kernels keep; the next call makes new ones."""
        self.functions.kernels_end_threads()


def open_library(features: str = "auto") -> Library:
    """The kernels that were built with this gptcli; features: one of types.compute.CPU_FEATURES.

    Raises KernelsUnavailableError, and UsageError where a set of instructions that is named is
    not there.
    """
    if features == OFF:
        raise KernelsUnavailableError(f"--cpu-features {OFF} turns them off")
    try:
        return _opened(HERE / LIBRARY, features)
    except KernelsUnavailableError as error:
        if features == "auto":
            raise
        raise UsageError("--cpu-features", f"{features} cannot be used: {error}") from None


@functools.cache
def _opened(path: Path, features: str) -> Library:
    return Library(path, features)


def default_threads() -> int:
    """Threads where nobody asks for a number: OMP_NUM_THREADS, as for torch, else the cores.

    Of these no more than the cgroup's CPU time is enough for, as in a container.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isascii() and asked.isdigit() and int(asked):
        return int(asked)
    return min(physical_cores(), cpu_limit() or physical_cores())


def physical_cores() -> int:
    """How many cores this process may use, each counted once however many threads it runs."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
    siblings = set()
    for cpu in allowed:
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            siblings.add(topology.read_text())
        except OSError:
            siblings.add(str(cpu))
    return max(1, len(siblings))


def _declare(functions: c.CDLL) -> None:
    pointer, i32, i64 = c.c_void_p, c.c_int32, c.c_int64
    for name, result, arguments in (
        ("abi", i32, []),
        ("set", c.c_char_p, [c.c_char_p]),
        ("open", pointer, [c.POINTER(abi.Model), c.c_char_p, i32]),
        ("close", None, [pointer]),
        ("end_threads", None, []),
        ("forward", i32, [pointer, c.POINTER(abi.Call)]),
        ("unembed", i32, [pointer, pointer, i32, pointer]),
        ("block_bytes", i64, [i32, i64]),
        ("pack", None, [i32, i32, pointer, i64, i64, i64, pointer, i64, i32]),
        ("crew", None, [i32, pointer, i32, pointer]),
        ("read", c.c_uint64, [pointer, i64, i32]),
        ("stage", i32, [pointer, c.POINTER(abi.Call), i32, i32]),
        ("memory", pointer, [pointer, i32, pointer, pointer, pointer]),
        (
            "product",
            i32,
            [c.c_char_p, c.POINTER(abi.Matrix), c.POINTER(abi.Reading), i32, i32, pointer],
        ),
        (
            "normalise",
            i32,
            [c.c_char_p, pointer, pointer, i32, c.POINTER(abi.Norm), i32, c.c_float],
        ),
        ("activate", i32, [c.c_char_p, pointer, pointer, i32, i32]),
    ):
        function = getattr(functions, f"kernels_{name}")
        function.restype, function.argtypes = result, arguments
