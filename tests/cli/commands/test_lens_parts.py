"""`gptcli lens --parts`, on a tiny model of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gptcli.engine.arrays import host
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.opening import open_runner
from tests.ui.screens import assert_unbroken, seen

PROMPT = "the cat sat on the mat"


@pytest.fixture
def parts(tiny_model: Path):
    """`lens --parts` on the tiny model: 2 layers, 4 heads."""
    return lambda by, *argv, **more: run(
        "lens", "-m", str(tiny_model), "--parts", by, *argv, **more
    )


@pytest.mark.parametrize("position", [-1, 2])
def test_parts_are_those_of_the_models_own_logit(parts, tiny_model, position):
    """Catches the logit of another token or position, and a likeliest token that is not that."""
    at = ("--position", str(position))
    found = json.loads(parts("head", *at, "--json", PROMPT).text)
    other = json.loads(parts("layer", *at, "--json", "--versus", " cat", PROMPT).text)
    runner = open_runner(tiny_model, dtype="float32", device="cpu")
    ids = json.loads(run("tokens", "-m", str(tiny_model), "--json", PROMPT).text)
    ids = [each["id"] for each in ids["tokens"]]
    logits = host(runner.all_logits(ids, runner.new_state()))[position]
    assert found["target"]["id"] == other["target"]["id"] == logits.argmax()
    assert found["position"] == position % len(ids)
    difference = logits.max() - logits[other["versus"]["id"]]
    for each, logit, count in ((found, logits.max(), 14), (other, difference, 6)):
        assert each["logit"] == pytest.approx(logit, abs=1e-5)
        adds = [part["adds"] for part in each["parts"] if part["part"] != "rounding"]
        assert sum(adds) == pytest.approx(logit, abs=1e-4)
        assert len(each["parts"]) >= count - 2
    heads = [(each["layer"], each["head"]) for each in found["parts"] if each["part"] == "head"]
    assert heads == [(layer, head) for layer in range(2) for head in range(4)]


@pytest.mark.parametrize("by", ["head", "mlp", "layer"])
def test_rows_and_arrays_are_the_json(parts, by, tmp_path):
    """Catches forms that differ, and rows in another order than the strongest first."""
    argv = ("--target", " the", "--versus", "t")
    found = json.loads(parts(by, *argv, "--json", "--npz", str(tmp_path / "a.npz"), PROMPT).text)
    heads, *rows = [line.split("\t") for line in parts(by, *argv, PROMPT).text.splitlines()]
    assert heads == ["part", "layer", "head", "adds"]
    sizes = [abs(float(row[3])) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    names = [
        (p["part"], *(str(p[n]).replace("None", "") for n in ("layer", "head")))
        for p in found["parts"]
    ]
    wanted = dict(zip(names, [p["adds"] for p in found["parts"]], strict=True))
    assert {tuple(row[:3]): pytest.approx(float(row[3])) for row in rows} == wanted
    arrays = np.load(tmp_path / "a.npz")
    np.testing.assert_allclose(arrays["adds"], [p["adds"] for p in found["parts"]], rtol=1e-6)
    assert arrays["parts"].tolist() == [p["part"] for p in found["parts"]]


@pytest.mark.parametrize(("width", "colour"), [(40, True), (60, False), (200, True)])
@pytest.mark.parametrize("by", ["head", "layer"])
def test_lines_fit_the_terminal(parts, width, by, colour, monkeypatch):
    """Catches a line that breaks, parts that are left out unsaid, and colours unasked for."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color" if colour else "dumb")
    argv = ("-k", "3", "--versus", " cat", "a\tb 日本語 שלום " + PROMPT)
    text = parts(by, *argv, terminal=True).text
    assert_unbroken(text, width)
    said = " ".join(seen(text, width))
    assert "more parts together" in said or by == "layer"
    assert "add up to the logit" in said and "rounding" in said
    assert ("48;5;" in text) == (colour and by == "head")


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("head", "--target", "the cat sat", PROMPT), 4, "--target: is"),
        (("head", "--versus", "", PROMPT), 4, "--versus: is empty"),
        (("head", "--target", "t", "--versus", "t", PROMPT), 4, "--versus: is the target"),
        (("head", "--position", "99", PROMPT), 2, "--position: 99 is not among"),
        (("head", "--track", "t", PROMPT), 2, "--track: cannot be combined with --parts"),
        (("head", "--window", "0:", PROMPT), 2, "--window: cannot be combined with --parts"),
        (("neuron", PROMPT), 2, "--parts: must be one of head, mlp, layer"),
        (("head", "-m", "echo", PROMPT), 2, "echo: cannot be looked into"),
    ],
)
def test_bad_input(parts, argv, code, part):
    """Catches tokens and positions that are not there, and flags that mean nothing together."""
    assert_one_line(parts(*argv), code, part)


def test_flags_of_parts_need_them(tiny_model):
    """Catches a flag that is dropped silently."""
    for flag in ("--target", "--versus", "--position"):
        assert_one_line(run("lens", "-m", str(tiny_model), flag, "1", PROMPT), 2, "needs --parts")
