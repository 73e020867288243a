"""What the peers' benchmark makes before it measures, and what it is asked for."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from tests import environments
from tests.bench.peers.cases import Case
from tests.bench.peers.in_python import PythonPeer
from tests.bench.peers.libraries import LIBRARIES, Library, convert
from tests.bench.peers.options import arguments, programs
from tests.bench.weights.places import Places


def test_what_a_peer_lacks_is_made_once(tmp_path):
    """Catches dtypes that a peer does not have, another's weights, and converting each time."""
    asked: list[tuple[str, Path]] = []

    def fake(places: Places, dtype: str, python: Path) -> None:
        asked.append((dtype, python))
        places.openvino(dtype).mkdir()

    (named,) = (each for each in LIBRARIES if each.name == "openvino")
    library: Library = dataclasses.replace(named, convert=fake)
    places, python = Places(tmp_path), Path("python")
    made = list(convert(library, places, ["bfloat16", "float32", "Q4_K_M", "int4"], python))
    # It computes what it has of float32 in bfloat16.
    assert made == [places.openvino("float32"), places.openvino("int4")]
    assert asked == [("bfloat16", python), ("int4", python)]
    assert list(convert(library, places, ["float32", "int4"], python)) == []


def test_vllm_is_asked_for_rates_alone(tmp_path):
    """Catches minutes that a start of it takes, in a table of seconds."""
    (library,) = (each for each in LIBRARIES if each.name == "vllm")
    places = Places(tmp_path)
    places.checkpoint.mkdir()
    peer = PythonPeer(library, Path("python"))
    asked = ("decode", "prefill", "batch", "start", "memory", "served")
    found = [peer.measure(Case(each, "bfloat16", 2, 16), places) is not None for each in asked]
    assert found == [True] * 3 + [False] * 3
    assert peer.measure(Case("decode", "int8", 2, 16), places) is None


def test_quick_is_a_preset_that_flags_outweigh(tmp_path):
    """Catches a preset that undoes what was asked for, and one that leaks into other runs."""
    quick = arguments("", ["--work", "x", "--quick", "--rounds", "1"])
    assert (quick.peers, quick.minutes, quick.rounds) == (["llama.cpp"], 5.0, 1)
    assert (quick.measures, quick.depths) == (["prefill", "decode", "start"], [16, 1000])
    usual = arguments("", ["--work", "x", "--llama-bin", str(tmp_path)])
    assert usual.minutes is None and "openvino" in usual.peers
    (tmp_path / "llama-bench").touch()
    found = programs(usual)
    assert (found.bench, found.completion) == (tmp_path / "llama-bench", None)
    with pytest.raises(SystemExit):
        arguments("", ["--work", "x", "--peers", "ollama"])


def test_an_environment_is_made_once_and_held(monkeypatch, tmp_path):
    """Catches a torch that is replaced, a half-made environment that is taken, and its remaking."""
    commands: list[str] = []
    fails = [True]

    def fake(command: tuple[str, ...], **given: bool) -> subprocess.CompletedProcess[str]:
        commands.append(" ".join(command[3:]))
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)
        broken = "-c" in command and fails and fails.pop()
        said = "ERROR: none\nERROR: no such version\n" if broken else ""
        return subprocess.CompletedProcess(command, int(bool(broken)), "", said)

    monkeypatch.setattr(environments.subprocess, "run", fake)
    wished = environments.Environment(("a==1", "b==2"), unwanted=("c",))
    with pytest.raises(environments.MakingError, match="ERROR: no such version"):
        environments.made(wished, tmp_path)
    (tmp_path / "a==1" / "held.txt").unlink()
    (tmp_path / "a==1").rmdir()
    del commands[:]
    python = environments.made(wished, tmp_path)
    assert python == environments.made(wished, tmp_path) == tmp_path / "a==1" / "bin" / "python"
    held = tmp_path / "a==1" / "held.txt"
    assert held.read_text() == "torch==2.13.0\n"
    assert commands == [
        f"--clear {tmp_path / 'a==1'}",
        "install -q torch==2.13.0",
        f"install -q -c {held} a==1 b==2",
        "uninstall -q -y c",
    ]
