"""`gptcli steer`, on a tiny model of random weights: against NumPy's way to say the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gptcli.engine.arrays import host, softmax
from gptcli.engine.probes.streams import Streams
from gptcli.formats.gguf import control_vector
from gptcli.formats.gguf.control_vector import ControlVector
from gptcli.text.tokenizer import Tokenizer
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.opening import open_runner
from tests.ui.screens import assert_unbroken

PLUS, MINUS = ["the cat sat", "a cat on the mat"], ["the dog ran", "a dog"]


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    (tmp_path / "plus.txt").write_text("\n".join(PLUS) + "\n")
    (tmp_path / "minus.txt").write_text("\n".join(MINUS) + "\n")
    return ("--plus", str(tmp_path / "plus.txt"), "--minus", str(tmp_path / "minus.txt"))


@pytest.fixture
def make(tiny_model: Path, tmp_path: Path, files):
    """`steer make` of the texts: the one direction that a model of two layers has."""

    def ask(*argv: str) -> np.ndarray:
        path = tmp_path / "x.gguf"
        done = run("steer", "make", "-m", str(tiny_model), *files, "-o", str(path), *argv)
        assert (done.code, done.out) == (0, b""), done.err
        assert "wrote" in done.err and "1 direction of 32 numbers" in done.err
        found = control_vector.read(path)
        assert (found.hint, list(found.directions)) == ("llama", [1])
        return found.directions[1]

    return ask


def streams(model: Path, texts: list[str], pad: int = 0) -> list[np.ndarray]:
    """Behind layer 1, (tokens, width) of each text; with spaces behind it up to so many tokens."""
    runner, tokenizer = open_runner(model, device="cpu"), Tokenizer(model)
    found = []
    for text in texts:
        ids = tokenizer.encode(text)
        ids += tokenizer.encode(" ")[-1:] * (pad - len(ids))
        seen = Streams(range(len(ids)))
        runner.prefill([ids], runner.new_state(), probe=seen)
        found.append(host(seen.after(1)).astype(np.float64))
    return found


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows)


def test_the_difference_of_means(make, tiny_model):
    """Catches the other sign, another layer or token, and a text of many tokens that counts more
    than one of few."""
    plus, minus = streams(tiny_model, PLUS), streams(tiny_model, MINUS)
    last = np.mean([each[-1] for each in plus], 0) - np.mean([each[-1] for each in minus], 0)
    np.testing.assert_allclose(make(), last, atol=1e-5)
    np.testing.assert_allclose(make("--unit"), unit(last), atol=1e-6)
    pooled = [np.mean([each[1:].mean(0) for each in side], 0) for side in (plus, minus)]
    np.testing.assert_allclose(make("--position", "all"), pooled[0] - pooled[1], atol=1e-5)


def test_what_differences_have_in_common(make, tiny_model, monkeypatch):
    """Catches pairs that are not those of the lines, positions of a longer text that are left out,
    rows that are lost on the way to the disk and back, and a sign that is chance."""
    plus, minus = streams(tiny_model, PLUS), streams(tiny_model, MINUS)
    rows = np.stack([one[-1] - other[-1] for one, other in zip(plus, minus, strict=True)])
    first = np.linalg.svd(rows)[2][0]
    first *= np.sign((rows @ first).sum())
    np.testing.assert_allclose(make("--method", "pca"), first, atol=1e-4)
    monkeypatch.setattr("gptcli.backends.local.steering._ROWS", 4)
    monkeypatch.setattr("gptcli.engine.probes.activations.CHUNK", 3)
    rows = np.concatenate(
        [
            np.subtract(*(streams(tiny_model, [text], pad)[0] for text in (one, other)))
            for one, other in zip(PLUS, MINUS, strict=True)
            for pad in [max(len(Tokenizer(tiny_model).encode(text)) for text in (one, other))]
        ]
    )
    assert len(rows) > 6
    first = np.linalg.svd(rows)[2][0]
    first *= np.sign((rows @ first).sum())
    np.testing.assert_allclose(make("--method", "pca", "--position", "all"), first, atol=1e-4)


def test_what_was_made_is_told_in_json(tiny_model, files, tmp_path):
    """Catches a number of texts, or a length, that is another's."""
    argv = ("steer", "make", "-m", str(tiny_model), *files, "-o", str(tmp_path / "x.gguf"))
    found = json.loads(run(*argv, "--json", "-q").text)
    assert (found["method"], found["rows"], found["width"]) == ("mean", [2, 2], 32)
    (row,) = control_vector.read(tmp_path / "x.gguf").directions.values()
    assert found["directions"] == [{"layer": 1, "norm": pytest.approx(np.linalg.norm(row))}]


@pytest.fixture
def shown(tiny_model: Path, tmp_path: Path):
    """`steer show` of two directions, the second ten times as long."""
    rows = np.random.default_rng(0).standard_normal((2, 32)).astype(np.float32)
    rows[1] *= 10
    path = tmp_path / "v.gguf"
    path.write_bytes(control_vector.encode(ControlVector("llama", {1: rows[0], 2: rows[1]})))
    command = ("steer", "show", "-m", str(tiny_model), str(path))
    return rows, lambda *argv, **more: run(*command, *argv, **more)


def test_a_direction_is_read_out_as_a_stream_is(shown, tiny_model):
    """Catches a head without the final norm, a length that changes what is said, the opposite
    with the same sign, and rows that are not the JSON."""
    rows, show = shown
    found = json.loads(show("--json", "-k", "3").text)
    runner = open_runner(tiny_model, device="cpu")
    for each, row in zip(found["directions"], rows, strict=True):
        assert each["norm"] == pytest.approx(np.linalg.norm(row), rel=1e-5)
        for name, sign in (("says", 1), ("opposite_says", -1)):
            # As long as streams are, so that the norm's epsilon does not count.
            stream = sign * row[None] / np.linalg.norm(row) * np.float32(32**0.5)
            chances = softmax(host(runner.logits_of_streams(stream)))[0]
            ids = [one["id"] for one in each[name]]
            assert ids == (-chances).argsort(stable=True)[:3].tolist()
            expected = pytest.approx(chances[ids].tolist(), rel=1e-4)
            assert [one["probability"] for one in each[name]] == expected
    heads, *table = [line.split("\t") for line in show("-k", "3").text.splitlines()]
    assert heads == ["layer", "norm", "side", "rank", "token", "id", "probability"]
    every = [each for one in found["directions"] for each in (*one["says"], *one["opposite_says"])]
    assert [int(row[5]) for row in table] == [each["id"] for each in every]
    sides = [(row[0], row[2]) for row in table[::3]]
    assert sides == [("1", "+"), ("1", "-"), ("2", "+"), ("2", "-")]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lines_fit_the_terminal(shown, width, monkeypatch):
    """Catches a table that breaks, and one without what is asked for most."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    text = shown[1](terminal=True).text
    assert_unbroken(text, width)
    assert "says" in text and "length" in text


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("-o", "x.bin"), 2, "--output: x.bin does not end in .gguf"),
        (("--layers", "0", "-o", "{}"), 2, "--layers: must be from 1 to 1, not 0"),
        (("--method", "pca", "--minus", "{one}", "-o", "{}"), 4, "--method pca: 2 texts"),
        (("--minus", "{plus}", "-o", "{}"), 4, "--plus: has nothing that --minus has not"),
        (("--minus", "{empty}", "-o", "{}"), 4, "empty.txt: is empty"),
        (("--position", "first", "-o", "{}"), 2, "--position: must be"),
        (("-m", "echo", "-o", "{}"), 2, "echo: cannot be looked into"),
    ],
)
def test_bad_input(tiny_model, tmp_path, files, argv, code, part):
    """Catches flags and texts that cannot be, and a file that is made although they are."""
    (tmp_path / "one.txt").write_text("a\n")
    (tmp_path / "empty.txt").write_text("")
    path = tmp_path / "x.gguf"
    named = {name: str(tmp_path / f"{name}.txt") for name in ("one", "plus", "empty")}
    words = [word.format(path, **named) for word in argv]
    assert_one_line(run("steer", "make", "-m", str(tiny_model), *files, *words), code, part)
    assert not path.exists()


def test_directions_of_another_model(tiny_model, tmp_path):
    """Catches a product of shapes that do not fit, and a file that is no control vector."""
    path = tmp_path / "v.gguf"
    path.write_bytes(control_vector.encode(ControlVector("", {1: np.ones(8, np.float32)})))
    done = run("steer", "show", "-m", str(tiny_model), str(path))
    assert_one_line(done, 3, "are of 8 numbers, and the stream of", "has 32")
    path.write_bytes(b"GGUFx")
    done = run("steer", "show", "-m", str(tiny_model), str(path))
    assert_one_line(done, 3, "v.gguf: is not a valid GGUF file")
