"""`gptcli neighbors`, on a tiny model of random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from gptcli.cli.commands.neighbors import terms
from gptcli.errors import UsageError
from gptcli.types.neighbors import Term
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.ui.screens import assert_unbroken


@pytest.fixture
def neighbors(tiny_model: Path):
    """`neighbors` on the tiny model."""
    return lambda *argv, **more: run("neighbors", "-m", str(tiny_model), *argv, **more)


@pytest.fixture
def table(tiny_model: Path) -> np.ndarray:
    """The unit vectors of its tokens."""
    tensors = load_file(tiny_model / "model.safetensors")
    (name,) = (name for name in tensors if "embed_tokens" in name)
    rows = tensors[name].numpy()
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def word_of(found: dict) -> dict:
    (word,) = found["words"]
    return word


def test_nearest_by_cosine(neighbors, table):
    """Catches a word without its space, itself among its neighbours, a dot product for a cosine."""
    word = word_of(json.loads(neighbors("--json", "--forms", "cat").text))
    assert word["vector_of"] == "spaced"
    (token,) = word["tokens"]
    assert token["token"] == " cat"
    cosines = table @ table[token["id"]]
    order = [i for i in np.argsort(-cosines, kind="stable") if i != token["id"]]
    assert [each["id"] for each in word["neighbors"]] == order[:10]
    expected = cosines[order[:10]]
    assert [each["cosine"] for each in word["neighbors"]] == pytest.approx(expected, abs=1e-5)


def test_a_word_of_several_tokens_is_their_mean_and_said_so(neighbors, tiny_model):
    """Catches using the first or the last of them only."""
    word = word_of(json.loads(neighbors("--json", "xyz").text))
    assert word["vector_of"] == "mean" and len(word["tokens"]) > 1
    tensors = load_file(tiny_model / "model.safetensors")
    (name,) = (name for name in tensors if "embed_tokens" in name)
    mean = tensors[name][[each["id"] for each in word["tokens"]]].mean(0)
    assert word["norm"] == pytest.approx(mean.norm().item(), rel=1e-5)
    assert "the mean of their vectors" in neighbors("xyz", terminal=True).text


def test_other_spellings_are_left_out_and_counted(neighbors):
    """Catches neighbours of `a` that are `A` and ` a`, dropped silently."""
    word = word_of(json.loads(neighbors("--json", "-k", "250", "a").text))
    texts = [each["token"].strip().casefold() for each in word["neighbors"]]
    assert "a" not in texts and word["other_spellings_left_out"] >= 1
    every = word_of(json.loads(neighbors("--json", "-k", "250", "--forms", "a").text))
    assert "a" in [each["token"].strip().casefold() for each in every["neighbors"]]


def test_a_sum_of_words(neighbors, table):
    """Catches a sign that is lost, and words that outweigh others by their length."""
    word = word_of(json.loads(neighbors("--json", "--from", "cat - dog + mat").text))
    ids = [each["id"] for each in word["tokens"]]
    assert [each["token"] for each in word["tokens"]] == [" cat", " dog", " mat"]
    total = table[ids[0]] - table[ids[1]] + table[ids[2]]
    assert word["norm"] == pytest.approx(np.linalg.norm(total), rel=1e-5)
    cosines = table @ (total / np.linalg.norm(total))
    forms = {"cat", "dog", "mat"}
    shown = word["neighbors"]
    assert [each["cosine"] for each in shown] == pytest.approx(
        [cosines[each["id"]] for each in shown], abs=1e-5
    )
    assert not forms & {each["token"].strip() for each in shown}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("king - man + woman", [(1, "king"), (-1, "man"), (1, "woman")]),
        ("- man", [(-1, "man")]),
        ("state-of-the-art + new york", [(1, "state-of-the-art"), (1, "new york")]),
    ],
)
def test_sums_are_read(text, expected):
    """Catches a hyphen taken for a minus, and a sign at the beginning."""
    assert terms(text) == tuple(Term(*each) for each in expected)


@pytest.mark.parametrize("text", ["", " ", "+", "a +", "a + - b"])
def test_no_sums(text):
    """Catches a word that is empty."""
    with pytest.raises(UsageError, match="must be words"):
        terms(text)


CONTEXTS = ("--in", "the cat sat", "--in", "on the dog the cat")


def test_two_contexts_are_apart_after_the_embedding_only(neighbors):
    """Catches the vector of another word, or of another layer."""
    found = json.loads(neighbors("cat", *CONTEXTS, "--json").text)
    ((distances),) = (drift["distances"] for drift in found["drifts"])
    assert len(distances) == 3 and found["words"] == []
    assert distances[0] == pytest.approx(0, abs=1e-6) and min(distances[1:]) > 1e-3
    same = json.loads(neighbors("cat", "--in", "the cat a", "--in", "the cat b", "--json").text)
    assert same["drifts"][0]["distances"] == pytest.approx([0, 0, 0], abs=1e-6)


def test_a_word_in_its_context(neighbors, tiny_model):
    """Catches a position without its beginning, and a layer that is off by one."""
    flags = ("cat", "--in", "the cat sat", "--json")
    as_embedding = word_of(json.loads(neighbors(*flags, "--layer", "-1").text))
    assert as_embedding["cosine_with_own_embedding"] == pytest.approx(1, abs=1e-5)
    last = word_of(json.loads(neighbors(*flags).text))
    assert last["layer"] == 1 and last["tokens"][-1]["token"] == " cat"
    said = json.loads(run("lens", "-m", str(tiny_model), "--json", "the cat sat").text)
    cell = said["grid"][-1][last["position"]]
    assert last["says"][0]["id"] == cell["top"][0]["id"]


@pytest.mark.parametrize("width", [40, 60, 200])
@pytest.mark.parametrize(
    "argv", [("cat", "שלום", "日本語"), ("--from", "cat - dog"), ("cat", *CONTEXTS, "--layer", "0")]
)
def test_lines_fit_the_terminal(neighbors, width, argv, monkeypatch):
    """Catches a line that breaks."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    assert_unbroken(neighbors(*argv, terminal=True).text, width)


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        ((), 2, "word: is missing"),
        (("",), 4, "word: is empty"),
        (("cat", "--from", "a + b"), 2, "--from: cannot be combined"),
        (("cat", "dog", "--in", "a cat"), 2, "--in: looks at one word"),
        (("cat", "--layer", "0"), 2, "--layer: needs a context"),
        (("cat", "--in", "a dog"), 4, "--in: 'a dog' does not hold 'cat'"),
        (("cat", "--in", "a cat", "--layer", "2"), 2, "--layer: must be from -1 to 1"),
        (("-m", "echo", "cat"), 2, "echo: cannot be looked into"),
    ],
)
def test_bad_input(neighbors, argv, code, part):
    """Catches words and flags that cannot be."""
    assert_one_line(neighbors(*argv), code, part)
