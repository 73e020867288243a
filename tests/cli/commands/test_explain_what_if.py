"""`gptcli explain --what-if`: two walks side by side, on a tiny model of random weights."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.backends.local.what_if import in_common
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.engine.helpers import Recorder
from tests.opening import load
from tests.ui.screens import assert_unbroken, seen

PROMPT = "the cat sat on the mat"
OTHER = "the big old dog sat on the mat"
SWAP = "cat=big old dog"


@pytest.fixture
def explain(tiny_model: Path):
    """`explain` on the tiny model."""
    return lambda *argv, **more: run("explain", "-m", str(tiny_model), *argv, **more)


@pytest.fixture
def streams(tiny_model: Path):
    """The stream before the first layer and behind each, (layers + 1, ids, width)."""
    runner = load(tiny_model, dtype="float32", device="cpu")

    def of(ids: list[int]) -> np.ndarray:
        recorder = Recorder(range(len(ids)))
        runner.prefill([ids], runner.new_state(), probe=recorder)
        places = [("embedding", -1), *(("stream", at) for at in range(runner.spec.layers))]
        return np.stack([recorder.by_place[place][0].numpy() for place in places])

    return of


def test_both_are_what_each_is_by_itself(explain):
    """Catches a walk that another one beside it changes, and numbers of the wrong prompt."""
    both = json.loads(explain("--json", "--temp", "0", "--what-if", SWAP, PROMPT).text)
    for text, found in ((PROMPT, both["rounds"][0]), (OTHER, both["what_if"]["round"])):
        alone = json.loads(explain("--json", "--temp", "0", text).text)["rounds"][0]
        # Where the other walk's prompt is told, nothing else differs.
        assert found == alone
    chances = {
        each["id"]: each["probability"]
        for each in both["what_if"]["round"]["distribution"]["top_logprobs"]
    }
    expected = both["what_if"]["expected"]
    told = {each["id"]: each["other_probability"] for each in expected}
    assert {token: told[token] for token in chances} == pytest.approx(chances, rel=1e-4)
    best = [max(each["probability"], each["other_probability"]) for each in expected]
    assert best == sorted(best, reverse=True) and both["what_if"]["prompt"] == OTHER


def test_tokens_that_have_the_same_place_are_compared(explain, streams):
    """Catches prompts of unequal length that are held to each other from the front alone."""
    both = json.loads(explain("--json", "--temp", "0", "--what-if", SWAP, PROMPT).text)
    sides = both["rounds"][0], both["what_if"]["round"]
    ids = [[token["id"] for token in side["tokens"]] for side in sides]
    assert len(ids[0]) < len(ids[1])
    before, behind = both["what_if"]["shared_before"], both["what_if"]["shared_behind"]
    assert ids[0][:before] == ids[1][:before] and ids[0][-behind:] == ids[1][-behind:]
    aligned = both["what_if"]["aligned"]
    assert len(aligned) == behind + 1
    one, other = map(streams, ids)
    for back, each in zip(range(behind + 1, 0, -1), aligned, strict=True):
        places = each["position"], each["other"]["position"]
        assert places == (len(ids[0]) - back, len(ids[1]) - back)
        assert (each["id"], each["other"]["id"]) == (ids[0][places[0]], ids[1][places[1]])
        a, b = one[:, places[0]], other[:, places[1]]
        want = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
        np.testing.assert_allclose([each["start_cosine"], *each["cosines"]], want, atol=1e-5)
    # The same token starts as the same vector; what attention brings makes it another.
    assert aligned[-1]["start_cosine"] == pytest.approx(1) and aligned[-1]["cosines"][-1] < 0.999


@given(st.lists(st.integers(0, 2), max_size=9), st.lists(st.integers(0, 2), max_size=9))
def test_what_is_in_common_never_overlaps(one, other):
    """Catches a token that counts for the beginning and for the end."""
    before, behind = in_common(one, other)
    assert before + behind <= min(len(one), len(other))
    assert (
        one[:before] == other[:before] and one[len(one) - behind :] == other[len(other) - behind :]
    )
    assert before == min(len(one), len(other)) or one[before] != other[before]


def test_a_word_that_is_left_out(explain):
    """Catches a comparison with what is not there, at the end and in the middle."""
    inner = json.loads(explain("--json", "--what-if", " cat=", PROMPT).text)["what_if"]
    assert inner["new"] == "" and len(inner["aligned"]) == inner["shared_behind"] > 0
    last = explain("--json", "--what-if", " mat=", PROMPT)
    assert json.loads(last.text)["what_if"]["aligned"] == []
    assert "nothing" in explain("--what-if", " mat=", PROMPT, terminal=True).text
    assert "other_says" in explain("--what-if", " mat=", PROMPT).text


def test_a_window_leaves_places_out(explain):
    """Catches a stream that was not kept."""
    flags = ("--json", "--window", "-3:", "--what-if", SWAP, PROMPT)
    aligned = json.loads(explain(*flags).text)["what_if"]["aligned"]
    count = json.loads(explain(*flags).text)["rounds"][0]["prompt_tokens"]
    assert [each["position"] for each in aligned] == [count - 3, count - 2, count - 1]
    none = json.loads(explain("--json", "--window", "0:1", "--what-if", SWAP, PROMPT).text)
    assert none["what_if"]["aligned"] == []


def test_rows_and_stages(explain):
    """Catches rows of a stage that was not asked for, heads that are lost, another width."""
    flags = ("--what-if", SWAP, "--steps", "2", "--seed", "1")
    lines = explain(*flags, "--only", "what-if,draw", PROMPT).text.splitlines()
    rows = [line.split("\t") for line in lines]
    assert {len(row) for row in rows} == {7} and rows[0][:2] == ["round", "stage"]
    assert {row[1] for row in rows[1:]} == {"what-if", "draw"}
    assert {row[0] for row in rows if row[1] == "what-if"} == {"1"}
    names = {row[5] for row in rows if row[1] == "what-if"}
    assert names >= {"probability", "other_probability", "start_cosine", "cosine", "other_weight"}
    every = explain(*flags, PROMPT).text.splitlines()
    assert set(lines) < set(every)
    shown = explain(*flags, "--only", "mlp", PROMPT, terminal=True).text
    assert "MLP" in shown and "1.2" not in shown and "What if" not in shown


def test_arrays(explain):
    """Catches arrays that are not written, and tokens that are told of twice."""
    done = explain("--npz", "-", "--what-if", SWAP, PROMPT)
    both = json.loads(explain("--json", "--what-if", SWAP, PROMPT).text)["what_if"]
    with np.load(io.BytesIO(done.out)) as arrays:
        places = [(e["position"], e["other"]["position"]) for e in both["aligned"]]
        assert arrays["what_if_positions"].tolist() == [list(each) for each in places]
        cosines = [[each["start_cosine"], *each["cosines"]] for each in both["aligned"]]
        np.testing.assert_allclose(arrays["what_if_cosines"], cosines, atol=1e-6)
        ids, chances = arrays["what_if_expected_ids"], arrays["what_if_probabilities"]
        assert chances.shape == (len(ids), 2) and len(ids) == len(set(ids.tolist()))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("width", [60, 200])
def test_lines_fit_the_terminal(explain, language, width, monkeypatch):
    """Catches a line that breaks, and a text that drives the terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "dumb")
    flags = ("--seed", "1", "--lang", language, "--only", "what-if")
    text = explain(
        *flags, "--what-if", "日本語=\x1b[2J<b>\n", "a\tb 日本語 שלום " + PROMPT, terminal=True
    ).text
    assert_unbroken(text, width)
    assert "\x1b[2J" not in text and len(seen(text, width)) > 20


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        (("--what-if", "dog=cat", PROMPT), "--what-if: 'dog' does not stand in the prompt"),
        (("--what-if", "at=it", PROMPT), "--what-if: 'at' stands in the prompt 3 times"),
        (("--what-if", "cat", PROMPT), "--what-if: must be OLD=NEW, not 'cat'"),
        (("--what-if", "=cat", PROMPT), "--what-if: must be OLD=NEW, not '=cat'"),
        (("--what-if", "cat=cat", PROMPT), "--what-if: replaces 'cat' by itself"),
        (("--what-if", SWAP, "--shapes", PROMPT), "--what-if: cannot be combined with --shapes"),
        (("--only", "what-if", PROMPT), "--only: what-if needs --what-if OLD=NEW"),
        (("--only", "heads,draw", PROMPT), "--only: must be of tokens, embedding"),
        (("--only", "draw", "--json", PROMPT), "--only: cannot be combined with --json"),
    ],
)
def test_what_cannot_be_replaced(explain, argv, part):
    """Catches a word that is replaced in silence elsewhere, or not at all."""
    assert_one_line(explain(*argv), 2, part)


def test_a_prompt_of_nothing(explain):
    """Catches a walk of no tokens."""
    assert_one_line(explain("--what-if", "cat=", "cat"), 4, "--what-if: is empty")
