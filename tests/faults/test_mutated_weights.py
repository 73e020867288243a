"""Safetensors files that were broken on the way, or made by someone who means it."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from tests.engine.helpers import GOLDENS
from tests.faults import mutations
from tests.faults.mutants import guilty, outcomes
from tests.faults.scale import seeds

_CASE = "llama/tied"
_DTYPES = ["F64", "F32", "F16", "BF16", "I64", "U8", "F8_E4M3", "F4", "F6_E2M3", "C64", "BOOL", "X"]
_SIZES = [0, 1, 2, 24, 61, 2**31, 2**32, 2**62, 2**63, 2**64, 10**300, -1, True, 1.5, "1", None]


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model whose weights may be written over, and nowhere to keep packed ones."""
    monkeypatch.setenv("GPTCLI_DATA_DIR", "/dev/null/nowhere")
    shutil.copytree(GOLDENS / _CASE, tmp_path / "m")
    return tmp_path / "m"


def mutant(rng: random.Random, whole: bytes) -> bytes:
    """A file with a header that says something else, of another length, or other bytes."""
    length = int.from_bytes(whole[:8], "little")
    header, data = whole[8 : 8 + length], whole[8 + length :]
    kind = rng.random()
    if kind < 0.1:
        return mutations.data(rng, whole)
    if kind < 0.2:
        sizes = [0, 1, 2, length - 1, length + 1, len(whole), 2**31, 2**63, 2**64 - 1]
        return rng.choice(sizes).to_bytes(8, "little") + whole[8:]
    header = mutations.data(rng, header) if kind < 0.3 else _header(rng, json.loads(header))
    if rng.random() < 0.1:
        data = mutations.data(rng, data)
    return len(header).to_bytes(8, "little") + header + data


def _header(rng: random.Random, entries: dict[str, dict[str, object]]) -> bytes:
    names = [name for name in entries if name != "__metadata__"]
    for _ in range(rng.choice([1, 1, 2])):
        name = rng.choice(names)
        entry, kind = entries[name], rng.random()
        if kind < 0.2:
            entry["dtype"] = rng.choice(_DTYPES)
        elif kind < 0.4:
            entry["shape"] = [rng.choice(_SIZES) for _ in range(rng.choice([0, 1, 2, 2, 3, 70]))]
        elif kind < 0.6:
            entry["data_offsets"] = [rng.choice([*_SIZES, 48, 96, 4096]) for _ in range(2)]
        elif kind < 0.7:
            other = rng.choice(names)
            entries[name], entries[other] = entries[other], entry
        elif kind < 0.8:
            entries[rng.choice(["lm_head.weight", "", "x" * 500, "\x1b[2J", name + "x"])] = entry
        else:
            return mutations.object_of(rng, entries, {})
    return json.dumps(entries).encode()


@pytest.mark.slow
@seeds(100_000, blocks=4)
def test_mutants_of_weights(base: Path, cases: range) -> None:
    """A header that is believed: memory, a hang, an exception of numpy's or torch's."""
    whole = (base / "model.safetensors").read_bytes()

    def attempt(seed: int) -> None:
        rng = random.Random(seed)
        (base / "model.safetensors").write_bytes(mutant(rng, whole))
        mutations.run(base, rng)

    found = outcomes(attempt, cases)
    assert guilty(found) == []
    changed = sum(outcome.code == 3 for outcome in found)
    assert len(found) == len(cases) and changed > len(cases) / 2, "hardly any mutant was broken"


BROKEN = {
    "huge numbers multiplied": lambda e: e.update(shape=[10**300] * 64),
    "an endless axis": lambda e: e.update(shape=[0, 2**63]),
    "many axes": lambda e: e.update(shape=[1] * 1000),
    "true for one": lambda e: e.update(shape=[True, True]),
    "offsets of floats": lambda e: e.update(data_offsets=[0.0, 1e400]),
    "a half of a pair": lambda e: e.update(dtype="\ud800"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_known_ones(base: Path, what: str) -> None:
    """Each was once a crash, a hang or memory: a committed case."""
    whole = (base / "model.safetensors").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    entries = json.loads(whole[8 : 8 + length])
    BROKEN[what](entries["model.norm.weight"])
    header = json.dumps(entries).encode()

    def attempt(seed: int) -> None:
        file = len(header).to_bytes(8, "little") + header + whole[8 + length :]
        (base / "model.safetensors").write_bytes(file)
        mutations.run(base, random.Random(seed))

    (found,) = outcomes(attempt, [0])
    assert found.fine() and found.code == 3, found
