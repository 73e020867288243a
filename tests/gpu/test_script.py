"""The script for a lent card, tried out on the CPU with tiny shapes."""

from __future__ import annotations

import json

import pytest
import torch

from tests.engine.torch.recording import Recording
from tests.gpu import __main__ as script
from tests.gpu import checks

TINY = (
    *("--device", "cpu", "--shape", "tiny", "--dtype", "bfloat16", "--tokens", "4"),
    *("--rows", "2", "--memory", "4096"),
)


def test_the_script_tells_every_figure(monkeypatch):
    """Catches a script that fails where the card is lent, and a failed check that exits 0."""
    monkeypatch.setattr(script, "CHECKS", {"packed": checks.packed_differ})
    said: list[str] = []
    assert script.main(list(TINY), said.append) == 0
    found = {part["name"]: part for part in json.loads(said[-1])}
    figures = ("ready", "memory", "bfloat16", "bfloat16, 2 rows", "transformers", "int8", "int4")
    assert list(found) == ["packed", *figures]
    assert found["transformers"]["ratio"] > 0 and found["int4"]["share"] > 0
    assert not any(part.get("wrong") for part in found.values())


def test_a_check_that_fails_is_told_and_the_rest_goes_on(monkeypatch):
    """Catches a card's time that is lost with the first thing that fails, or an exit by 0."""

    def fails(device: str) -> list[str]:
        raise RuntimeError("CUDA error")

    checks_ = {"one": fails, "two": lambda device: ["it differs"], "three": lambda device: []}
    monkeypatch.setattr(script, "CHECKS", checks_)
    monkeypatch.setattr(script.Figures, "parts", lambda _: iter(()))
    said: list[str] = []
    assert script.main(list(TINY), said.append) == 1
    wrong = [part["wrong"] for part in json.loads(said[-1])]
    assert wrong == [["RuntimeError: CUDA error"], ["it differs"], []]
    assert script.main([*TINY, "--seconds", "0"], said.append) == 0 and said[-1] == "[]"


def test_checks_find_what_differs(monkeypatch):
    """Catches checks that hold for anything."""
    assert not list(checks.texts_differ("cpu", ["llama/tied"]))
    assert not list(checks.draws_differ("cpu", Recording()))
    assert not list(checks.not_recorded("cpu", Recording()))
    assert list(checks.not_recorded("cpu", lambda function: function))
    different = ([[at]] for at in range(99))
    monkeypatch.setattr(checks, "texts", lambda *_: next(different))
    assert len(list(checks.draws_differ("cpu", Recording()))) == 2
    monkeypatch.setattr(checks, "together", lambda _: [])
    assert len(list(checks.texts_differ("cpu", ["llama/tied"]))) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_card_it_says_so():
    """Catches a traceback in place of a line."""
    said: list[str] = []
    assert script.main([], said.append) == 2 and "no CUDA GPU" in said[0]
