"""`gptcli lens`, on a tiny model of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gptcli.engine.arrays import host, softmax
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.opening import open_runner
from tests.ui.screens import assert_unbroken, seen

PROMPT = "the cat sat on the mat"


@pytest.fixture
def lens(tiny_model: Path):
    """`lens` on the tiny model."""
    return lambda *argv, **more: run("lens", "-m", str(tiny_model), *argv, **more)


def test_the_last_row_is_what_the_model_says(lens, tiny_model):
    """Catches a read-out of another layer or position, and ranks of another token."""
    found = json.loads(lens("--json", "-k", "3", PROMPT).text)
    runner = open_runner(tiny_model, dtype="float32", device="cpu")
    ids = [token["id"] for token in found["tokens"]]
    chances = softmax(host(runner.all_logits(ids, runner.new_state())))
    assert len(found["grid"]) == found["layers"] + 1 == 3
    for at, (cell, answer) in enumerate(zip(found["grid"][-1], found["answers"], strict=True)):
        tokens = (-chances[at]).argsort(stable=True)[:3]
        assert [each["id"] for each in cell["top"]] == tokens.tolist()
        expected = pytest.approx(chances[at][tokens].tolist())
        assert [each["probability"] for each in cell["top"]] == expected
        assert answer["id"] == tokens[0] and cell["answer"]["rank"] == 1
    for at, layer in enumerate(found["first_at_layer"]):
        ranks = [row[at]["answer"]["rank"] for row in found["grid"]]
        assert ranks.index(1) == layer + 1


def test_a_tracked_token_has_ranks_everywhere(lens, tiny_model):
    """Catches a rank that is not one among all tokens."""
    vocabulary = json.loads((tiny_model / "config.json").read_text())["vocab_size"]
    found = json.loads(lens("--json", "-k", str(vocabulary), "--track", " the", PROMPT).text)
    for row in found["grid"]:
        for cell in row:
            order = [each["id"] for each in cell["top"]]
            assert order.index(found["tracked"]["id"]) + 1 == cell["tracked"]["rank"]


def test_rows_and_arrays_are_the_json(lens, tmp_path):
    """Catches forms that differ."""
    found = json.loads(lens("--json", "--npz", str(tmp_path / "a.npz"), PROMPT).text)
    heads, *rows = [line.split("\t") for line in lens(PROMPT).text.splitlines()]
    cells = [cell for row in found["grid"] for cell in row]
    assert heads[:4] == ["layer", "position", "token", "top"] and len(rows) == len(cells)
    assert [int(row[4]) for row in rows] == [cell["top"][0]["id"] for cell in cells]
    arrays = np.load(tmp_path / "a.npz")
    assert arrays["top_ids"].ravel()[::5].tolist() == [cell["top"][0]["id"] for cell in cells]
    assert arrays["ids"].tolist() == [token["id"] for token in found["tokens"]]


def test_a_window_counts_from_the_beginning(lens):
    """Catches positions that are counted from the window."""
    whole = json.loads(lens("--json", "--window", ":", PROMPT).text)
    part = json.loads(lens("--json", "--window", "1:3", PROMPT).text)
    assert [token["position"] for token in part["tokens"]] == [1, 2]
    ids = [[cell["top"][0]["id"] for cell in row[1:3]] for row in whole["grid"]]
    assert [[cell["top"][0]["id"] for cell in row] for row in part["grid"]] == ids
    last = json.loads(lens("--json", "--window=-2:", PROMPT).text)
    assert last["tokens"] == whole["tokens"][-2:]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("window", [(), ("--window", ":")])
def test_lines_fit_the_terminal(lens, width, window, monkeypatch):
    """Catches a line that breaks, and positions that are left out unsaid."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    text = lens(*window, "--track", "t", "a\tb 日本語 שלום " + PROMPT, terminal=True).text
    assert_unbroken(text, width)
    lines = seen(text, width)
    heads = [line.split() for line in lines if line and not line.strip("0123456789 ")]
    shown = [int(word) for line in heads for word in line]
    assert shown == list(range(shown[0], 28)) and (shown[0] == 0) == bool(window)
    left_out = f"positions {shown[0]} to 27 of 0 to 27; --window START:STOP shows others"
    assert (left_out in " ".join(lines)) == (not window)
    # Each has its rows, and the tracked token has one more.
    assert sum(line.startswith("embed") for line in lines) == len(heads) + 1


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("--track", "the cat sat", PROMPT), 4, "--track: is"),
        (("--track", "", PROMPT), 4, "--track: is empty"),
        (("--window", "x", PROMPT), 2, "--window: must be START:STOP"),
        (("--window", "99:", PROMPT), 2, "--window: holds none"),
        (("-k", "999", PROMPT), 2, "--rows: must be at most"),
        (("--html", "-", "--json", PROMPT), 2, "--html: cannot go to stdout beside --json"),
        (("-m", "echo", PROMPT), 2, "echo: cannot be looked into"),
        (("a " * 200,), 5, "more than the context"),
    ],
)
def test_bad_input(lens, argv, code, part):
    """Catches flags that cannot be, and a backend that cannot be looked into."""
    assert_one_line(lens(*argv), code, part)


def test_a_long_prompt_is_a_window_and_said_so(lens, monkeypatch):
    """Catches positions that are dropped silently."""
    monkeypatch.setattr("gptcli.types.window.DEFAULT", 4)
    done = lens("--json", PROMPT)
    assert len(json.loads(done.text)["tokens"]) == 4
    assert "are looked at" in done.err and "--window" in done.err
