"""The compiled kernels: where they are, or why they are not there, and which instructions."""

from __future__ import annotations

import ctypes as c
import functools
import os
from collections.abc import Callable, Set
from enum import IntEnum
from pathlib import Path

from gptcli.config import option_of
from gptcli.engine.cpu.binding import abi, calls
from gptcli.engine.cpu.binding.abi import Form, Kind, Met, Needs
from gptcli.engine.cpu.build import HERE, LIBRARY
from gptcli.engine.host.cgroup import cpu_limit
from gptcli.errors import UsageError
from gptcli.types.compute import CPU_FEATURES, Compute

#: Leaves everything to torch.
OFF = "none"
#: "auto" is the best that this processor has.
FEATURES = tuple(name for name in CPU_FEATURES if name != OFF)

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
        except OSError as error:
            raise KernelsUnavailableError(f"{path}: {error}") from None
        if not _ours(functions):
            raise KernelsUnavailableError(f"{path}: built from other sources than these")
        found = functions.kernels_set(b"" if features == "auto" else features.encode())
        if found is None:
            raise KernelsUnavailableError(f"this processor, or this build, has no {features}")
        self.path = path
        self.functions = functions
        #: The set of instructions in use, one of FEATURES.
        self.instructions: str = found.decode()

    def activations(self, kinds: Set[Kind], met_as: Met) -> str | None:
        """What activations are where they meet matrices of these kinds, the coarsest that any does.

        None where that is what the weights themselves are. met_as: what those of weights of 8 and
        fewer bits are to be.
        """
        name = self.instructions.encode()
        needs = [Needs(self.functions.kernels_needs(name, kind, met_as)) for kind in kinds]
        for each, called in ((Needs.BYTES, "int8"), (Needs.WORDS, "int16")):
            if any(each in found for found in needs):
                return called
        met = "bfloat16" if any(Needs.HALVES in each for each in needs) else "float32"
        return None if {kind.name.lower() for kind in kinds} == {met} else met

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

    Of these no more than the cgroup's CPU time is enough for, as in a container. A number that
    --threads would not take either says nothing.
    """
    asked = os.environ.get("OMP_NUM_THREADS", "")
    limit = option_of(Compute, "threads").limit
    assert limit is not None
    # More digits than the limit has are not even read.
    if asked.isascii() and asked.isdigit() and len(asked) < 10 and not limit.reason(int(asked)):
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


def _ours(functions: c.CDLL) -> bool:
    """Whether a library has these functions, and the same structs, kinds and forms."""
    try:
        _declare(functions)
    except AttributeError:
        return False
    count = c.c_int32()
    sizes = functions.kernels_sizes(c.byref(count))[: count.value]
    names = (
        _names(functions.kernels_kind_name, Kind),
        _names(functions.kernels_form_name, Form),
    )
    return sizes == [abi.VERSION, *map(c.sizeof, abi.STRUCTS)] and all(names)


def _names(name_of: Callable[[int], bytes | None], numbered: type[IntEnum]) -> bool:
    """Whether the library has the same names, and none after them."""
    ours = [each.name.lower().encode() for each in numbered]
    return [name_of(number) for number in range(len(ours) + 1)] == [*ours, None]


def _declare(functions: c.CDLL) -> None:
    pointer, i32, i64 = c.c_void_p, c.c_int32, c.c_int64
    for name, result, arguments in (
        ("sizes", c.POINTER(i32), [c.POINTER(i32)]),
        ("set", c.c_char_p, [c.c_char_p]),
        ("open", pointer, [c.POINTER(abi.Model), c.c_char_p, i32]),
        ("close", None, [pointer]),
        ("end_threads", None, []),
        ("forward", i32, [pointer, c.POINTER(calls.Call)]),
        ("unembed", i32, [pointer, pointer, i32, pointer]),
        ("scratch", i64, [c.POINTER(abi.Model), i32, i32, i32, i32]),
        ("kind_name", c.c_char_p, [i32]),
        ("form_name", c.c_char_p, [i32]),
        ("needs", i32, [c.c_char_p, i32, i32]),
        ("panel_bytes", i64, [i32, i64]),
        ("rows", i32, [c.c_char_p, c.POINTER(abi.Matrix), pointer, i64, pointer, i32]),
        ("pack", i32, [i32, i32, pointer, i64, i64, i64, pointer, i64, i32]),
        ("quantise", i32, [c.c_char_p, c.POINTER(calls.Quantising), i32]),
        ("crew", None, [i32, pointer, i32, pointer]),
        ("read", c.c_uint64, [pointer, i64, i32]),
        ("stage", i32, [pointer, c.POINTER(calls.Call), i32, i32]),
        ("memory", pointer, [pointer, i32, pointer, pointer, pointer]),
        (
            "product",
            i32,
            [c.c_char_p, c.POINTER(abi.Matrix), pointer, i32, i32, pointer],
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
