"""A look inside models most of whose layers carry a state in place of attention."""

from __future__ import annotations

import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from gptcli.engine.describe import describe
from gptcli.engine.model.mixers import memories
from tests.cli.helpers import run
from tests.hybrids import ATTENDS, LAYERS, STATES
from tests.ui.screens import assert_unbroken, seen

PROMPT = "the cat sat on the mat"


@pytest.fixture(params=["torch", "kernels"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """By torch, and by the kernels."""
    if request.param == "torch":
        monkeypatch.setattr("gptcli.engine.open.open_kernels", lambda *_: None)


def answer(model: Path, *argv: str) -> dict:
    command, *rest = argv
    done = run(command, "-m", str(model), "--dtype", "float32", "--json", *rest)
    assert done.code == 0, done.err
    return json.loads(done.text)


def count(model: Path) -> int:
    """Memories of a layer."""
    return memories(describe(model).spec.each_layer[STATES[0]].mixer)


def test_maps_of_layers_with_attention_and_states_of_the_others(hybrid_model, way):
    """Catches a map of a layer that has none, a layer of which nothing is told, and lengths of
    other tokens than those of the window."""
    found = answer(hybrid_model, "attention", PROMPT)
    assert found["attending"] == ATTENDS == sorted({each["layer"] for each in found["maps"]})
    assert [each["layer"] for each in found["states"]] == STATES
    assert found["layers"] == len(LAYERS)
    for each in found["states"]:
        assert each["kind"] == ("delta" if count(hybrid_model) > 1 else "convolution")
        assert each["memories"] == list(range(count(hybrid_model)))
        assert np.array(each["lengths"]).shape == (6, count(hybrid_model))
        assert np.min(each["lengths"]) > 0
    part = answer(hybrid_model, "attention", "--window", "2:4", PROMPT)
    for each, whole in zip(part["states"], found["states"], strict=True):
        np.testing.assert_allclose(each["lengths"], whole["lengths"][2:4], rtol=1e-4)


def test_one_layer_one_memory_and_taking_together(hybrid_model):
    """Catches --head that is one of attention's where there is none, and a mean over layers that
    have no maps, which would not sum to 1."""
    found = answer(hybrid_model, "attention", PROMPT)
    whole = np.array(found["states"][1]["lengths"])
    layer = ("--layer", str(STATES[1]))

    def one(*argv: str) -> np.ndarray:
        told = answer(hybrid_model, "attention", *layer, *argv, PROMPT)
        (state,) = told["states"]
        assert told["maps"] == []
        return np.array(state["lengths"])

    last = count(hybrid_model) - 1
    np.testing.assert_allclose(one(), whole)
    np.testing.assert_allclose(one("--head", str(last)), whole[:, last:])
    np.testing.assert_allclose(one("--mean"), whole.mean(-1, keepdims=True))
    np.testing.assert_allclose(one("--max"), whole.max(-1, keepdims=True))
    done = run("attention", "-m", str(hybrid_model), *layer, "--head", str(last + 1), PROMPT)
    assert (done.code, done.out) == (2, b"")
    assert f"--head: must be from 0 to {last}, not {last + 1}" in done.err
    (mean,) = answer(hybrid_model, "attention", "--mean", PROMPT)["maps"]
    assert np.sum(mean["weights"], axis=-1) == pytest.approx(1, abs=1e-5)
    maps = [each["weights"] for each in found["maps"]]
    np.testing.assert_allclose(mean["weights"], np.mean(maps, 0), atol=1e-6)


def test_attention_in_words(hybrid_model):
    """Catches views that say nothing of what is not there, on wide and narrow terminals."""
    for columns in ("60", "200"):
        for argv in ((), ("--layer", "0"), ("--mean",), ("--token", "-1")):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("COLUMNS", columns)
                done = run(
                    "attention", "-m", str(hybrid_model), *argv, PROMPT, stdin=None, terminal=True
                )
            assert done.code == 0, done.err
            text = " ".join(" ".join(seen(done.text, int(columns))).split())
            some = "layer 0 has" if "--layer" in argv else "3 of 4 layers have"
            assert f"{some} no attention, and so no map" in text
            assert "the length of the state" in text
            if "--mean" in argv:
                assert "mean over all heads of the 1 layer with attention" in text
            if argv in ((), ("--layer", "0")):
                assert_unbroken(done.text, int(columns))


def test_attention_in_rows(hybrid_model, tiny_model):
    """Catches a length among weights, and a column that every model gets for that."""
    heads, *rows = [
        line.split("\t")
        for line in run("attention", "-m", str(hybrid_model), PROMPT).text.splitlines()
    ]
    assert heads[-2:] == ["weight", "state_length"]
    states = [row for row in rows if row[-1]]
    assert {int(row[0]) for row in states} == set(STATES)
    assert len(states) == len(STATES) * 6 * count(hybrid_model)
    assert all(row[4:7] == ["", "", ""] and float(row[7]) > 0 for row in states)
    assert {int(row[0]) for row in rows if row[6]} == set(ATTENDS)
    plain = run("attention", "-m", str(tiny_model), PROMPT).text
    assert plain.splitlines()[0].split("\t") == heads[:-1]


@pytest.mark.slow
@pytest.mark.parametrize("argv", [(), ("--layer", "0"), ("--mean",)])
def test_attention_in_files(hybrid_model, tmp_path, argv):
    """Catches exports that fail where there is no map, and lengths left out of them."""
    pytest.importorskip("matplotlib")
    files = [tmp_path / name for name in ("a.html", "a.png", "a.npz")]
    flags = ["--html", str(files[0]), "--png", str(files[1]), "--npz", str(files[2])]
    done = run("attention", "-m", str(hybrid_model), *argv, *flags, PROMPT)
    assert done.code == 0, done.err
    page = files[0].read_text()
    assert "States in place of attention" in page and "behind position 5" in page
    assert ('id="map"' in page) == ("--layer" not in argv)
    assert files[1].read_bytes().startswith(b"\x89PNG")
    arrays = np.load(io.BytesIO(files[2].read_bytes()))
    shape = 6, 1 if "--mean" in argv else count(hybrid_model)
    assert arrays["state_lengths_0"].shape == shape
    assert ("state_lengths_3" in arrays) == ("--layer" not in argv)


def test_explain(hybrid_model, way):
    """Catches a walk that fails where a layer has no attention, or tells that it looks."""
    found = answer(hybrid_model, "explain", "--steps", "2", PROMPT)
    assert (found["facts"]["attending"], found["facts"]["carrying"]) == (1, 3)
    looked = answer(hybrid_model, "attention", PROMPT)["states"]
    for round_ in found["rounds"]:
        assert round_["sum_error"] < 1e-4
        names = [(each["layer"], each["block"]) for each in round_["blocks"]]
        first = {layer: "state" if layer in STATES else "attention" for layer in range(4)}
        assert names == [(n, name) for n in range(4) for name in (first[n], "mlp")]
        for each in round_["blocks"]:
            assert ("looks_at" in each) == (each["block"] == "attention")
            assert len(each.get("state_lengths", ())) == (
                count(hybrid_model) if each["block"] == "state" else 0
            )
    states = [
        each["state_lengths"] for each in found["rounds"][0]["blocks"][::2] if each["layer"] != 2
    ]
    for ours, theirs in zip(states, looked, strict=True):
        np.testing.assert_allclose(ours, theirs["lengths"][-1], rtol=1e-4)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_explain_in_words_and_rows(hybrid_model, lang):
    """Catches words of one language alone, and heads that are said to be in every layer."""
    text = run(
        "explain", "-m", str(hybrid_model), "--lang", lang, PROMPT, stdin=None, terminal=True
    ).text
    whole = re.sub(r"\s+", "" if lang == "zh" else " ", " ".join(seen(text, 80)))
    for words in {
        "en": ["in 1 of 4 layers", "a state of length", "carry a state of one size"],
        "zh": ["4层中的1层有4个头", "的状态", "大小固定的状态"],
    }[lang]:
        assert words in whole
    rows = [
        line.split("\t")
        for line in run("explain", "-m", str(hybrid_model), PROMPT).text.splitlines()
    ]
    told = {int(row[2]) for row in rows if row[1] == "state" and row[5] == "state_length"}
    assert told == set(STATES)
    assert {int(row[2]) for row in rows if row[5] == "weight"} == set(ATTENDS)


def test_explain_in_files(hybrid_model, tmp_path):
    """Catches bars of blocks that are not told of, and lengths left out of arrays."""
    pytest.importorskip("matplotlib")
    files = [tmp_path / name for name in ("a.html", "a.png", "a.npz")]
    flags = ["--html", str(files[0]), "--png", str(files[1]), "--npz", str(files[2])]
    assert run("explain", "-m", str(hybrid_model), *flags, PROMPT).code == 0
    assert "a state of length" in files[0].read_text()
    arrays = np.load(io.BytesIO(files[2].read_bytes()))
    assert arrays["state_layers"].tolist() == STATES
    assert arrays["state_lengths"].shape == (1, 3) and arrays["state_lengths"].min() > 0
    assert arrays["blocks"].tolist().count("state") == 3


def test_shapes(hybrid_model):
    """Catches attention weights that a layer is said to make which has none."""
    found = answer(hybrid_model, "explain", "--shapes", PROMPT)
    layers = {each["name"]: each["layers"] for each in found["tensors"]}
    assert layers["weights"] == layers["queries"] == layers["attention"] == ATTENDS
    assert layers["inputs"] == layers["mixer"] == STATES
    assert layers["mlp"] == [0, 1, 2, 3]
    assert ("memories" in layers) == (count(hybrid_model) > 1)
    spec = describe(hybrid_model).spec
    sizes = {each["name"]: math.prod(each["shape"]) for each in found["tensors"]}
    per_layer = sizes["inputs"] + sizes.get("memories", 0)
    assert 4 * len(STATES) * per_layer == spec.row_bytes


@pytest.mark.parametrize(
    "argv",
    [
        ("lens", PROMPT),
        ("neighbors", "cat"),
        ("tree", "--depth", "3", PROMPT),
        ("top-k", PROMPT),
        ("score", PROMPT),
        ("tokens", PROMPT),
    ],
    ids=lambda argv: argv[0],
)
def test_the_other_views_are_those_of_torch(hybrid_model, argv, monkeypatch):
    """Catches views that work in one place only, or differently."""
    ours = run(argv[0], "-m", str(hybrid_model), *argv[1:])
    assert ours.code == 0, ours.err
    monkeypatch.setattr("gptcli.engine.open.open_kernels", lambda *_: None)
    theirs = run(argv[0], "-m", str(hybrid_model), *argv[1:])
    for one, other in zip(ours.text.splitlines(), theirs.text.splitlines(), strict=True):
        for cell, its in zip(one.split("\t"), other.split("\t"), strict=True):
            try:
                assert float(cell) == pytest.approx(float(its), abs=1e-3)
            except ValueError:
                assert cell == its
