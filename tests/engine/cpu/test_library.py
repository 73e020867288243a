"""Finding, building and refusing the library, and what it knows of a spec."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys

import pytest

from gptcli.engine.cpu import build
from gptcli.engine.cpu.binding import library
from gptcli.engine.cpu.binding.abi import ACTIVATIONS, STRUCTS, Kind, Met, Needs
from gptcli.engine.cpu.binding.coverage import covers
from gptcli.engine.cpu.binding.library import (
    FEATURES,
    KernelsUnavailableError,
    Library,
    default_threads,
    open_library,
    physical_cores,
)
from gptcli.errors import UsageError
from tests.engine.cpu.helpers import SETS, needs_kernels
from tests.engine.cpu.small import SPEC
from tests.engine.cpu.stale import patched_library, stale_library
from tests.engine.helpers import SPECS


def names_of(enum: str, file: str) -> list[str]:
    """The names of an enum of the C++ sources in their order."""
    text = re.sub(r"//.*", "", (build.SOURCE / file).read_text())
    (body,) = re.findall(rf"enum {enum}(?: : int32_t)? \{{(.*?)\}}", text, flags=re.S)
    return [each.split("=")[0].strip().lower() for each in body.split(",") if "=" in each]


def test_numbers_mean_the_same_on_both_sides():
    """Catches an enum that is changed in C++ or in Python only."""
    in_order = sorted(ACTIVATIONS, key=ACTIVATIONS.__getitem__)
    assert names_of("Activation", "model.h") == in_order
    needs = names_of("Needs", "activations.h")
    assert needs == ["nothing", *(each.name.lower() for each in Needs)]


def test_every_family_is_covered():
    """Catches a family that quietly goes through torch."""
    assert not {case: covers(spec) for case, spec in SPECS.items() if covers(spec)}


def test_what_is_not_known_is_said():
    """Catches running a model while one of its choices is left out."""
    known = dataclasses.replace(SPEC, activation="square")
    assert covers(known) == "they do not know the activation square"

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Grown(type(SPEC)):
        twist: bool = False

    fields = {field.name: getattr(SPEC, field.name) for field in dataclasses.fields(SPEC)}
    assert covers(Grown(**fields)) is None
    assert covers(Grown(**fields, twist=True)) == "they do not know twist"


def test_a_library_that_is_not_there_or_not_ours_is_told(tmp_path):
    """Catches an OSError of ctypes that reaches the user."""
    with pytest.raises(KernelsUnavailableError, match="not built"):
        Library(tmp_path / "none.so")
    (tmp_path / "broken.so").write_bytes(b"no library")
    with pytest.raises(KernelsUnavailableError, match=r"broken\.so"):
        Library(tmp_path / "broken.so")


@needs_kernels
@pytest.mark.parametrize("number", range(len(STRUCTS)), ids=lambda n: STRUCTS[n].__name__)
def test_a_library_of_other_structs_is_refused(number, tmp_path):
    """Catches a stale library that reads a field from where another one is now."""
    with pytest.raises(KernelsUnavailableError, match="built from other sources than these"):
        Library(stale_library(tmp_path / "stale.so", number))


@needs_kernels
def test_a_library_of_other_kinds_is_refused(tmp_path):
    """Catches weights that are packed as one kind and read as another."""
    stale = patched_library(tmp_path / "stale.so", b"q5_1\0", b"q5_9\0")
    with pytest.raises(KernelsUnavailableError, match="built from other sources than these"):
        Library(stale)


def test_a_library_without_a_function_is_refused(tmp_path):
    """Catches an AttributeError of ctypes where the library is older than what asks its sizes."""
    source = tmp_path / "old.c"
    source.write_text("int kernels_abi(void) { return 3; }\n")
    old = tmp_path / "old.so"
    compiler = build.find_compiler()
    subprocess.run([compiler, "-x", "c", "-shared", "-fPIC", source, "-o", old], check=True)
    with pytest.raises(KernelsUnavailableError, match="built from other sources than these"):
        Library(old)


@needs_kernels
def test_activations_are_what_the_weights_meet():
    """Catches a label that says exact where 8-bit activations are met, or the other way round."""
    portable = open_library("portable")
    for met in Met:
        assert portable.activations({Kind.FLOAT32}, met) is None
        assert portable.activations({Kind.BFLOAT16}, met) == "float32"
        assert portable.activations({Kind.Q8_0}, met) == met.name.lower()
        assert portable.activations({Kind.Q4_K, Kind.BFLOAT16}, met) == met.name.lower()
    if "avx512bf16" in SETS:
        pairs = open_library("avx512bf16")
        assert pairs.activations({Kind.BFLOAT16}, Met.INT16) is None
        assert pairs.activations({Kind.BFLOAT16}, Met.FLOAT32) == "float32"


def test_features_are_forced_or_refused():
    """Catches instructions that are not there being taken for the best there is."""
    missing = next(name for name in FEATURES[1:] if name not in SETS)
    with pytest.raises(UsageError, match=f"--cpu-features: {missing} .*(no {missing}|not built)"):
        open_library(missing)
    with pytest.raises(KernelsUnavailableError, match="turns them off"):
        open_library("none")
    if SETS:
        assert open_library("portable").instructions == "portable"
        assert open_library().instructions == SETS[0]


def test_threads_are_those_of_the_environment(monkeypatch):
    """Catches kernels that take all cores where torch was told to take one."""
    monkeypatch.setattr(library, "cpu_limit", lambda: None)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    for nothing in ("", "0", "x", "-2", "65536", "100000", "9" * 5000):
        # The pool has 16 bits for threads, and Python's int() refuses more than 4,300 digits.
        monkeypatch.setenv("OMP_NUM_THREADS", nothing)
        assert default_threads() == physical_cores()


@pytest.mark.parametrize(("limit", "threads"), [(1, 1), (3, 3), (8, 8), (9, 8), (None, 8)])
def test_a_container_bounds_the_threads(monkeypatch, limit, threads):
    """Catches threads that wait for each other while the container has no time left for them."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(library, "physical_cores", lambda: 8)
    monkeypatch.setattr(library, "cpu_limit", lambda: limit)
    assert default_threads() == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert default_threads() == 5


def test_without_a_compiler_the_reason_is_told(tmp_path, monkeypatch):
    """Catches an installation that ends in a traceback where no compiler is, or a broken one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(build.BuildError, match="no C\\+\\+ compiler"):
        build.build(tmp_path)
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\necho 'x.cpp: error: bad' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(build.BuildError, match=r"x\.cpp: error: bad"):
        build.build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["c++"]


@needs_kernels
def test_the_kernels_never_load_torch():
    """Catches an import through which every start would pay for torch."""
    code = (
        "import sys\nfrom tests.engine.cpu.small import small_model\n"
        "from gptcli.engine.cpu.packing import packed_file\n"
        "model = small_model('portable')\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_there_is_a_core():
    """Catches counting no core at all where the system does not tell."""
    assert physical_cores() >= 1
