"""`gptcli embed`: vectors of texts, in every form, here and of a server."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.backends.remote.serving import as_json, serving
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line


@pytest.fixture
def embed(tiny_model):
    """`embed` on the tiny model."""
    return lambda *argv, **more: run("embed", "-m", str(tiny_model), *argv, **more)


def test_every_form_has_the_same_numbers(embed, tmp_path):
    """Catches digits lost on the way to a pipe, a text without its vector, an order of its own."""
    (tmp_path / "b.txt").write_text("a dog\n")
    texts = ("the cat", "-f", str(tmp_path / "b.txt"))
    found = json.loads(embed(*texts, "--json").text)
    assert (found["object"], [each["index"] for each in found["data"]]) == ("list", [0, 1])
    vectors = np.array([each["embedding"] for each in found["data"]], dtype=np.float32)
    assert found["usage"]["prompt_tokens"] == found["usage"]["total_tokens"] > 2
    rows = [line.split("\t") for line in embed(*texts).text.splitlines()]
    np.testing.assert_array_equal(np.array(rows, dtype=np.float32), vectors)
    for name in ("x.npy", "x.npz"):
        done = embed(*texts, "-o", str(tmp_path / name))
        assert (done.code, done.out) == (0, b"") and "wrote" in done.err
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), vectors)
    with np.load(tmp_path / "x.npz") as arrays:
        np.testing.assert_array_equal(arrays["embeddings"], vectors)
        assert arrays["texts"].tolist() == ["the cat", "a dog"]
    alone = embed("-", stdin=b"the cat\n", terminal=True).text
    assert "the cat" in alone and "32 numbers" in alone


def test_pooling_and_length(embed):
    """Catches a mean that is the last, and a length that --normalize leaves."""

    def vector(*argv):
        return np.array(json.loads(embed("--json", *argv).text)["data"][0]["embedding"])

    mean, last = vector("the cat sat"), vector("--pool", "last", "the cat sat")
    assert not np.allclose(mean, last)
    assert not np.isclose(np.linalg.norm(mean), 1)
    unit = vector("--normalize", "the cat sat")
    np.testing.assert_allclose(unit, mean / np.linalg.norm(mean), atol=1e-6)
    np.testing.assert_allclose(vector("--dimensions", "5", "the cat sat"), mean[:5])
    assert np.allclose(vector("--pool", "last", "cat"), vector("cat"))


def test_rows_of_a_batch(embed, tmp_path):
    """Catches a row that gets the vector of another, and one that is lost on the way."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "the cat", "id": "a"}\n{"text": "a dog", "id": "b"}\n')
    done = embed("--batch", str(rows), "-o", str(tmp_path / "out.jsonl"))
    assert done.code == 0, done.err
    lines = [json.loads(each) for each in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [each["id"] for each in lines] == ["a", "b"]
    alone = json.loads(embed("--json", "the cat", "a dog").text)["data"]
    for line, want in zip(lines, alone, strict=True):
        assert line["data"][0]["embedding"] == want["embedding"]
    plain = embed("--batch", "-", stdin=b"the cat\na dog\n")
    assert [json.loads(each)["data"] for each in plain.text.splitlines()] == [
        each["data"] for each in lines
    ]


def test_what_cannot_be(embed, tmp_path):
    """Catches a wrong exit code, a traceback, and a flag that is dropped."""
    assert_one_line(embed("the cat " * 99), 5, "text 1", "tokens")
    assert_one_line(embed(""), 4, "text 1: is empty")
    assert_one_line(embed("a", "--pool", "max"), 2, "--pool")
    assert_one_line(embed("a", "--dimensions", "99"), 4, "dimensions", "32")
    assert_one_line(embed("a", "--json", "-o", "x.npy"), 2, "--json", "x.npy")
    assert_one_line(embed("a", "-o", str(tmp_path / "no" / "x.npy")), 6, "x.npy")
    assert_one_line(embed("a", "--batch", "-"), 2, "--batch")
    assert_one_line(embed("--batch", "-", "-o", "x.npy"), 2, "--output", "JSON lines")
    assert_one_line(run("embed", "-m", "echo", "a"), 2, "cannot embed")


def asked(owner, *argv, said=None):
    """The bodies that a server gets, and what came of it."""

    def answer(request):
        if request.path.endswith("/models"):
            return as_json({"data": [{"id": "m", "owned_by": owner}]})
        vectors = [{"index": 0, "embedding": [3.0, 4.0]}]
        return as_json(said or {"data": vectors, "usage": {"prompt_tokens": 2}})

    with serving(answer) as served:
        done = run("embed", "-m", "m", "--base-url", served.url, *argv)
        bodies = [each.body for each in served.asked if each.path.endswith("/embeddings")]
    return bodies, done


def test_a_server_is_asked_for_its_vectors():
    """Catches a field that a server would ignore, and a length that only a local one has."""
    (body,), done = asked("gptcli", "--json", "--pool", "last", "--normalize", "hi")
    assert (body["input"], body["pooling"], body["encoding_format"]) == ("hi", "last", "float")
    found = json.loads(done.text)
    assert found["data"][0]["embedding"] == pytest.approx([0.6, 0.8])
    assert found["usage"]["prompt_tokens"] == 2
    (body,), done = asked("vllm", "hi")
    assert "pooling" not in body and done.text == "3\t4\n"
    bodies, done = asked("vllm", "--pool", "mean", "hi")
    assert not bodies
    assert_one_line(done, 2, "--pool", "vLLM")
    for wrong in (
        {"data": []},
        {"data": [{"embedding": "abc"}]},
        {"data": [{"embedding": [None]}]},
    ):
        _, done = asked("vllm", "hi", said=wrong)
        assert_one_line(done, 7, "sent an answer")
