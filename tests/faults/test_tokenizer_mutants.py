"""Mutants of a tokenizer's files end in an answer or in one line, at once and in little memory."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gptcli.errors import InputError, ModelError
from gptcli.text import opened_tokenizer, tokenizer_trial
from gptcli.text.kept.tokenizer import KeptTokenizer
from gptcli.text.limited_process import LimitedProcess, Limits
from gptcli.text.tokenizer import Tokenizer
from tests.faults import scale
from tests.faults.mutants import guilty, outcomes
from tests.faults.processes import GPTCLI
from tests.faults.tokenizer_mutants import PARTS, tokenizer_json, tokenizer_model
from tests.text.kept.alike import SAMPLES, assert_alike
from tests.text.tokenizers_for_tests import byte_level

TEXTS = ("a", "the cat's  mat\n 漢字 🙂 </s> 12345", "a" * 2000, " " * 500 + "\n" * 500)
#: Of computing: with some patterns the library searches each text until it gives up.
SECONDS = 1.0 * (len(SAMPLES) + len(TEXTS))
MAKERS = (("tokenizer.json", tokenizer_json), ("tokenizer.model", tokenizer_model))
_process: list[LimitedProcess] = []


def _trial(limits: Limits) -> Callable[..., Any]:
    """One process tries many: what ends it is told, and another begins."""

    def made(module: str, subject: str, _: Limits) -> Any:
        if not _process or not _process[0].runs:
            _process[:] = [LimitedProcess(module, subject, limits)]
            atexit.register(_process[0].close)
        return _Kept(_process[0])

    return made


class _Kept:
    def __init__(self, process: LimitedProcess) -> None:
        self.ask = process.ask

    def close(self) -> None:
        """It serves the next one."""


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Opens a tokenizer of one file, and uses it."""
    limits = Limits(tokenizer_trial._SECONDS, tokenizer_trial._MEMORY)
    monkeypatch.setattr("gptcli.text.limited_process.LimitedProcess", _trial(limits))

    def tried(name: str, data: bytes, used: Callable[[Tokenizer], None] = use) -> None:
        tokenizer_trial._known.clear()
        directory = Path(tempfile.mkdtemp(dir=tmp_path))
        try:
            (directory / name).write_bytes(data)
            os.environ["GPTCLI_DATA_DIR"] = str(directory / "data")
            used(Tokenizer(directory))
        finally:
            shutil.rmtree(directory)

    return tried


def use(tokenizer: Tokenizer) -> None:
    """All that is asked of a tokenizer."""
    _ = tokenizer.prefix
    for text in TEXTS:
        ids: list[int] = []
        for special in (False, True):
            try:
                ids = tokenizer.encode(text, special=special)
            except ModelError as error:
                assert "\n" not in str(error)
        try:
            tokenizer.decode(ids)
        except ModelError as error:
            assert "\n" not in str(error)
    for token in (*range(min(tokenizer.size, 50)), 10**9, 2**32):
        tokenizer.has(token)
        tokenizer.is_special(token)


def assert_mixed(codes: list[int]) -> None:
    """Mutants that are all refused, or none, try little."""
    assert 0.1 * len(codes) < codes.count(3) < 0.98 * len(codes), "the faults, and not only they"


@pytest.mark.slow
@scale.seeds(10_000, blocks=4)
def test_mutants_of_tokenizer_json(cases: range, attempt: Callable[[str, bytes], None]) -> None:
    """Aborts, panics, hangs and all memory for one letter."""
    found = outcomes(lambda seed: attempt("tokenizer.json", tokenizer_json(seed)), cases)
    assert guilty(found, SECONDS) == []
    refused = sum(each.code == 3 for each in found)
    assert 0.2 * len(found) < refused < 0.98 * len(found), (
        "the faults themselves, and not only they"
    )


@pytest.mark.slow
@scale.seeds(10_000, blocks=4)
def test_mutants_of_tokenizer_model(cases: range, attempt: Callable[[str, bytes], None]) -> None:
    """Panics over a table of letters; lengths that are believed."""
    found = outcomes(lambda seed: attempt("tokenizer.model", tokenizer_model(seed)), cases)
    assert guilty(found, SECONDS) == []
    refused = sum(each.code == 3 for each in found)
    assert 0.2 * len(found) < refused < 0.98 * len(found), (
        "the faults themselves, and not only they"
    )


@pytest.mark.slow
@scale.seeds(10_000, blocks=4)
def test_mutants_that_are_kept_are_cut_alike(
    cases: range, attempt: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that the kept form takes for another, or does not see."""
    monkeypatch.setattr(opened_tokenizer, "_LARGE", 0)

    def alike(tokenizer: Tokenizer) -> None:
        cutter = tokenizer._cutter
        if not isinstance(cutter, KeptTokenizer):
            raise InputError("it", "is left to the library")
        assert_alike(cutter, cutter._open_whole(), (*SAMPLES, *TEXTS))

    found = outcomes(lambda seed: attempt("tokenizer.json", tokenizer_json(seed), alike), cases)
    assert guilty(found, SECONDS) == []
    kept = sum(each.code == 0 for each in found)
    assert 0.05 * len(found) < kept < 0.95 * len(found), "the faults themselves, and not only they"


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PARTS)))
def test_parts_that_make_much_of_little(number: int, attempt: Callable[[str, bytes], None]) -> None:
    """Each by itself, in a tokenizer that is otherwise whole."""
    name, part = PARTS[number]
    whole = json.loads(byte_level().to_str()) | {name: part}
    found = outcomes(lambda _: attempt("tokenizer.json", json.dumps(whole).encode()), [0])
    assert guilty(found) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(range(10), id="few"),
        pytest.param(range(10, 55), id="all-0", marks=pytest.mark.faults),
        pytest.param(range(55, 100), id="all-1", marks=pytest.mark.faults),
    ],
)
def test_mutants_through_the_tool(cases: range, tiny_model: Path, tmp_path: Path) -> None:
    """What only a whole process shows: a core, a panic's own words, a traceback."""
    codes = []
    for seed in cases:
        directory = tmp_path / str(seed)
        directory.mkdir()
        for name in ("config.json", "model.safetensors"):
            (directory / name).symlink_to(tiny_model / name)
        name, make = MAKERS[seed % 2]
        (directory / name).write_bytes(make(100_000 + seed))
        command = [*GPTCLI, "tokens", "-q", "--ids", "-m", str(directory), "a"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        codes.append(done.returncode)
        assert done.returncode in {0, 3, 4, 5}, (seed, done.stderr)
        assert done.stderr.count("\n") == (done.returncode != 0), (seed, done.stderr)
        assert done.returncode == 0 or done.stderr.startswith("gptcli: error: "), (
            seed,
            done.stderr,
        )
    assert_mixed(codes)
