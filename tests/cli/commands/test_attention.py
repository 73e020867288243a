"""`gptcli attention`, on a tiny model of random weights."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from gptcli.engine.arrays import host
from gptcli.engine.probes.value_weights import ValueWeights
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.opening import open_runner
from tests.ui.screens import assert_unbroken, seen

PROMPT = "the cat sat on the mat"


@pytest.fixture
def attention(tiny_model: Path):
    """`attention` on the tiny model: 2 layers, 4 heads, 2 of keys and values."""
    return lambda *argv, **more: run("attention", "-m", str(tiny_model), *argv, **more)


def test_every_map_of_the_model(attention):
    """Catches rows that do not sum to 1, a look ahead, and maps in another order."""
    found = json.loads(attention("--json", PROMPT).text)
    assert [(each["layer"], each["head"]) for each in found["maps"]] == [
        (layer, head) for layer in range(2) for head in range(4)
    ]
    assert found["heads_per_key_head"] == 2
    for each in found["maps"]:
        weights = np.array(each["weights"])
        assert weights.sum(-1) == pytest.approx(1, abs=1e-5)
        assert not np.triu(weights, 1).any()


def test_choosing_and_taking_together(attention):
    """Catches a mean over other heads than those that were chosen."""
    every = {
        (each["layer"], each["head"]): np.array(each["weights"])
        for each in json.loads(attention("--json", PROMPT).text)["maps"]
    }

    def one(*argv: str) -> np.ndarray:
        (found,) = json.loads(attention("--json", *argv, PROMPT).text)["maps"]
        return np.array(found["weights"])

    near = lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6)  # noqa: E731
    near(one("--layer", "1", "--head", "2"), every[1, 2])
    near(one("--layer", "1", "--mean"), np.mean([every[1, h] for h in range(4)], 0))
    near(one("--head", "3", "--max"), np.max([every[layer, 3] for layer in range(2)], 0))
    near(one("--mean"), np.mean(list(every.values()), 0))


def test_a_window_tells_what_went_before_it(attention):
    """Catches weights that are lost outside of the window."""
    found = json.loads(attention("--json", "--window", "3:6", PROMPT).text)
    whole = json.loads(attention("--json", PROMPT).text)
    for each, all_of_it in zip(found["maps"], whole["maps"], strict=True):
        sums = np.array(each["weights"]).sum(-1) + each["outside"]
        assert sums == pytest.approx(1, abs=1e-5)
        part = np.array(all_of_it["weights"])[3:6, 3:6]
        np.testing.assert_allclose(each["weights"], part, atol=1e-6)


def test_rows_and_arrays_are_the_json(attention, tmp_path):
    """Catches forms that differ."""
    found = json.loads(attention("--json", "--npz", str(tmp_path / "a.npz"), PROMPT).text)
    heads, *rows = [line.split("\t") for line in attention(PROMPT).text.splitlines()]
    assert heads == ["layer", "head", "position", "token", "key_position", "key_token", "weight"]
    by_place = {(r[0], r[1], r[2], r[4]): float(r[6]) for r in rows}
    for each in found["maps"]:
        for query, row in enumerate(each["weights"]):
            for key, weight in enumerate(row[: query + 1]):
                place = (str(each["layer"]), str(each["head"]), str(query), str(key))
                assert by_place.get(place, 0.0) == pytest.approx(weight)
    weights = np.load(tmp_path / "a.npz")["weights"]
    np.testing.assert_allclose(weights, [each["weights"] for each in found["maps"]])


@pytest.mark.parametrize(
    ("named", "position"), [("4", 4), ("-1", -1), (" the", -2), ("the", 0), ("mat", -1)]
)
def test_one_token_is_named_by_text_or_position(attention, named, position):
    """Catches a number read as text, and the first of several instead of the last."""
    tokens = json.loads(attention("--json", PROMPT).text)["tokens"]
    rows = attention("--layer", "0", "--head", "0", "--token", named, PROMPT).text.splitlines()[1:]
    assert {int(row.split("\t")[2]) for row in rows} == {tokens[position]["position"]}


FLAGS = [
    (),
    ("--layer", "1"),
    ("--layer", "1", "--head", "0"),
    ("--mean",),
    ("--token", "-1"),
    ("--window", "2:", "--layer", "0", "--max"),
]


@pytest.mark.parametrize(("width", "colour"), [(40, True), (80, False), (200, True)])
@pytest.mark.parametrize("flags", FLAGS)
def test_lines_fit_the_terminal(attention, width, flags, colour, monkeypatch):
    """Catches a line that breaks, shared keys and values that go unsaid, colours unasked for."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    text = attention(*flags, "a\tb 日本語 שלום " + PROMPT, terminal=True).text
    assert_unbroken(text, width)
    assert "keys and values" in " ".join(seen(text, width))
    # Bars are cyan, cells of a map have a background.
    assert ("\x1b[36m" if "--token" in flags else "48;5;") in text or not colour
    assert colour or not re.search(r"\x1b\[[0-9;]*(3|4)[0-9]", text)


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("--layer", "2", PROMPT), 2, "--layer: must be from 0 to 1, not 2"),
        (("--head", "4", PROMPT), 2, "--head: must be from 0 to 3, not 4"),
        (("--mean", "--max", PROMPT), 2, "--max: cannot be combined with --mean"),
        (("--weigh", "keys", PROMPT), 2, "--weigh: must be one of attention, values"),
        (("--token", "dog", PROMPT), 4, "--token: 'dog' is no token"),
        (("--token", "99", PROMPT), 4, "--token: position 99"),
        (("-m", "echo", PROMPT), 2, "echo: cannot be looked into"),
    ],
)
def test_bad_input(attention, argv, code, part):
    """Catches layers, heads and tokens that are not there."""
    assert_one_line(attention(*argv), code, part)


def test_too_many_weights_are_refused(attention, monkeypatch):
    """Catches a window that would fill the memory."""
    monkeypatch.setattr("gptcli.backends.local.attention.MAX_WEIGHTS", 100)
    assert_one_line(attention(PROMPT), 2, "--window: would give")
    assert attention("--layer", "0", "--head", "0", "--window", ":5", PROMPT).code == 0


def weighed(attention, *argv: str) -> dict:
    return json.loads(attention("--json", "--weigh", "values", *argv, PROMPT).text)


def test_weights_by_what_values_give(attention, tiny_model, tmp_path):
    """Catches shares of another row, lengths that are lost on the way, and forms that differ."""
    found = weighed(attention, "--npz", str(tmp_path / "a.npz"))
    plain = json.loads(attention("--json", PROMPT).text)
    runner = open_runner(tiny_model, dtype="float32", device="cpu")
    ids = [each["id"] for each in found["tokens"]]
    probe = ValueWeights(runner, range(len(ids)))
    runner.prefill([ids], runner.new_state(), probe=probe)
    moved = []
    assert found["weigh"] == "values" and plain["weigh"] == "attention"
    for each, other in zip(found["maps"], plain["maps"], strict=True):
        want = host(probe.of(each["layer"]))[each["head"]]
        weights, totals = np.array(each["weights"]), np.array(each["totals"])
        np.testing.assert_allclose(weights * totals[:, None], want, atol=1e-6)
        assert weights.sum(-1) == pytest.approx(1, abs=1e-5)
        assert "totals" not in other
        moved.append(np.abs(weights - other["weights"]).max())
    assert max(moved) > 1e-2
    rows = attention("--weigh", "values", PROMPT).text.splitlines()
    heads, *rows = [line.split("\t") for line in rows]
    assert heads[-2:] == ["weight", "length"]
    maps = {(each["layer"], each["head"]): each for each in found["maps"]}
    for row in rows:
        each, query, key = maps[int(row[0]), int(row[1])], int(row[2]), int(row[4])
        weight = each["weights"][query][key]
        assert float(row[6]) == pytest.approx(weight, rel=1e-5)
        assert float(row[7]) == pytest.approx(weight * each["totals"][query], rel=1e-5)
    arrays = np.load(tmp_path / "a.npz")
    np.testing.assert_allclose(arrays["totals"], [each["totals"] for each in found["maps"]])


def test_lengths_are_put_together_before_they_are_shared_out(attention):
    """Catches a mean of shares, and a window that forgets what went before it."""
    every = weighed(attention, "--layer", "1")["maps"]
    lengths = [np.array(m["weights"]) * np.array(m["totals"])[:, None] for m in every]
    (mean,) = weighed(attention, "--layer", "1", "--mean")["maps"]
    want = np.mean(lengths, 0)
    np.testing.assert_allclose(mean["weights"], want / want.sum(-1, keepdims=True), atol=1e-6)
    (part,) = weighed(attention, "--layer", "1", "--head", "2", "--window", "3:6")["maps"]
    whole = every[2]
    np.testing.assert_allclose(part["totals"], whole["totals"][3:6], rtol=1e-5)
    np.testing.assert_allclose(part["weights"], np.array(whole["weights"])[3:6, 3:6], atol=1e-6)
    assert sum(part["weights"][0]) + part["outside"][0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("width", [60, 200])
def test_weighed_views_say_so(attention, width, monkeypatch):
    """Catches numbers that are taken for weights, and a line that breaks."""
    monkeypatch.setenv("COLUMNS", str(width))
    for flags in ((), ("--layer", "1", "--head", "0"), ("--token", "-1")):
        text = attention("--weigh", "values", *flags, PROMPT, terminal=True).text
        assert_unbroken(text, width)
        assert "weighed by values" in " ".join(seen(text, width))
