"""`gptcli activations`, on a tiny model: against a pass of each text by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from gptcli.backends.local import LocalBackend
from gptcli.engine.arrays import host
from gptcli.engine.probes.streams import Streams
from gptcli.signals import EndedError
from gptcli.text.tokenizer import Tokenizer
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.opening import open_runner

TEXTS = ["the cat sat on the mat", "a dog", "cat"]


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return path


@pytest.fixture
def activations(tiny_model: Path, tmp_path: Path, prompts: Path):
    """`activations` of the texts; what the file that it wrote holds."""

    def ask(*argv: str, to: str = "x.npz", code: int = 0, **more):
        path = tmp_path / to
        file = () if "--prompts" in argv else ("--prompts", str(prompts))
        words = ("activations", "-m", str(tiny_model), *file, "-o", str(path), *argv)
        done = run(*words, **more)
        assert done.code == code, done.err
        if path.suffix == ".safetensors":
            return done, load_file(path)
        return done, dict(np.load(path)) if path.exists() else {}

    return ask


def slow(model: Path, text: str) -> tuple[list[int], Streams]:
    """All points of a pass of one text."""
    ids, runner = Tokenizer(model).encode(text), open_runner(model, device="cpu")
    streams = Streams(range(len(ids)))
    runner.prefill([ids], runner.new_state(), probe=streams)
    return ids, streams


def test_every_row_can_be_found_again(activations, tiny_model):
    """Catches a row of another token, text or layer, and a place that is off by one."""
    done, found = activations("--at", "mlp", "--json")
    passes = [slow(tiny_model, text) for text in TEXTS]
    told, offsets = json.loads(done.text), found["offsets"].tolist()
    assert offsets == np.cumsum([0, *(len(ids) for ids, _ in passes)]).tolist()
    assert (told["rows"], told["texts"], told["layers"]) == (offsets[-1], 3, [0, 1])
    assert found["activations"].shape == (offsets[-1], 2, 32)
    assert found["layers"].tolist() == [0, 1] and found["lines"].tolist() == [1, 2, 3]
    assert str(found["at"]) == "mlp" and str(found["model"])
    for number, (ids, streams) in enumerate(passes):
        rows = slice(offsets[number], offsets[number + 1])
        assert found["ids"][rows].tolist() == ids
        assert found["positions"][rows].tolist() == list(range(len(ids)))
        assert set(found["texts"][rows]) == {number}
        for place, layer in enumerate(found["layers"]):
            expected = host(streams.mlp(layer))
            np.testing.assert_array_equal(found["activations"][rows, place], expected)


def test_heads_are_what_the_output_projection_reads(activations, tiny_model):
    """Catches heads in another order, and numbers of behind the projection."""
    _, heads = activations("--at", "head", "--dtype", "float32")
    _, updates = activations("--at", "attention", "--dtype", "float32", to="y.npz")
    tensors = load_file(tiny_model / "model.safetensors")
    for layer in range(2):
        matrix = tensors[f"model.layers.{layer}.self_attn.o_proj.weight"].astype(np.float32)
        found = heads["activations"][:, layer] @ matrix.T
        np.testing.assert_allclose(found, updates["activations"][:, layer], atol=1e-4)


def test_a_text_of_several_parts_is_the_same(activations, monkeypatch):
    """Catches rows that are lost, or come twice, between the parts of a long text."""
    _, whole = activations()
    monkeypatch.setattr("gptcli.engine.probes.activations.CHUNK", 3)
    _, parts = activations(to="y.npz")
    np.testing.assert_allclose(parts.pop("activations"), whole.pop("activations"), atol=1e-5)
    for name, array in whole.items():
        np.testing.assert_array_equal(parts[name], array)


@pytest.mark.parametrize("pool", ["mean", "last"])
def test_pooled_rows_are_made_of_the_tokens(activations, pool):
    """Catches a mean that is not over all tokens, a last that is not the last, and tokens of a text
    that cannot be found again."""
    _, every = activations("--layers", "1")
    _, found = activations("--layers", "1", "--pool", pool, to="x.safetensors")
    assert "positions" not in found and "texts" not in found
    np.testing.assert_array_equal(found["ids"], every["ids"])
    np.testing.assert_array_equal(found["offsets"], every["offsets"])
    rows = np.split(every["activations"], every["offsets"][1:-1])
    expected = [each.mean(0, dtype=np.float64) if pool == "mean" else each[-1] for each in rows]
    np.testing.assert_allclose(found["activations"], expected, rtol=1e-6)


def test_both_kinds_of_file_hold_the_same(activations):
    """Catches an array that one kind lacks."""
    _, npz = activations("--at", "embedding")
    _, other = activations("--at", "embedding", to="x.safetensors")
    assert npz["layers"].tolist() == [-1] and npz["activations"].shape[1] == 1
    assert set(npz) - set(other) == {"model", "computed_in", "at", "pool"}
    for name, array in other.items():
        np.testing.assert_array_equal(array, npz[name])


def test_rows_under_a_name(activations, tmp_path):
    """Catches the wrong column, and lines that are counted from another place."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a dog", "other": "cat"}\n\n{"prompt": "b", "other": "mat"}\n')
    _, found = activations("--prompts", str(path), "--pool", "last")
    _, other = activations("--prompts", str(path), "--field", "other", "--pool", "last", to="y.npz")
    assert found["lines"].tolist() == other["lines"].tolist() == [1, 3]
    assert found["ids"].tolist() != other["ids"].tolist()
    piped, _ = activations("--prompts", "-", to="z.npz", stdin=b"the cat\n")
    assert "of 1 text," in piped.err


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (EndedError(143), 143)])
def test_what_is_done_is_kept_when_it_is_stopped(activations, monkeypatch, stop, code):
    """Catches hours of work that Ctrl-C throws away, half a text that stays, and an exit code that
    says that all is well."""
    answer = LocalBackend.answer

    def stopping(self, question):
        for part in answer(self, question):
            half = question.texts[part.text].text == TEXTS[1]
            yield replace(part, last=not half)
            if half:
                raise stop

    monkeypatch.setattr(LocalBackend, "answer", stopping)
    done, found = activations(code=code)
    assert "of 1 text," in done.err
    assert found["offsets"].tolist() == [0, len(found["ids"])] == [0, len(found["activations"])]


def test_a_row_that_is_none_costs_nothing_of_those_before(activations, prompts, tmp_path):
    """Catches a file that is lost for its last line, and one of nothing."""
    prompts.write_text("the cat\n\na dog\n")
    done, found = activations(code=4)
    assert "texts.txt: line 2: is empty" in done.err and found["lines"].tolist() == [1]
    prompts.write_text("a " * 200 + "\n")
    done, found = activations(to="y.npz", code=5)
    assert_one_line(done, 5, "texts.txt: line 1: has")
    assert not found and not (tmp_path / "y.npz").exists()


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("-o", "x.csv"), 2, "--output: x.csv ends in neither .npz nor .safetensors"),
        (("-o", "/no/where/x.npz"), 6, "/no/where/x.npz: is no file"),
        (("--layers", "2", "-o", "{}"), 2, "--layers: must be from 0 to 1, not 2"),
        (("--layers", "1-0", "-o", "{}"), 2, "--layers: must be whole numbers and ranges"),
        (("--layers", "0", "--at", "embedding", "-o", "{}"), 2, "comes before all of them"),
        (("--at", "tail", "-o", "{}"), 2, "--at: must be"),
        (("-m", "echo", "-o", "{}"), 2, "echo: cannot show its activations"),
    ],
)
def test_bad_input(tiny_model, tmp_path, prompts, argv, code, part):
    """Catches flags that cannot be, and a file that is made although they are."""
    path = tmp_path / "x.npz"
    words = [word.format(path) for word in argv]
    done = run("activations", "-m", str(tiny_model), "--prompts", str(prompts), *words)
    assert_one_line(done, code, part)
    assert not path.exists()
