"""`gptcli lens --tuned`: against a slow reading out, and files that are none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gptcli.engine.arrays import host, softmax
from gptcli.engine.probes.streams import Streams
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.opening import open_runner
from tests.ui.screens import seen

PROMPT = "the cat sat on the mat"
Arrays = dict[str, np.ndarray]


@pytest.fixture
def width(tiny_model: Path) -> int:
    return int(json.loads((tiny_model / "config.json").read_text())["hidden_size"])


def translators(width: int) -> Arrays:
    """Those of two layers, which change what is said."""
    draw = np.random.default_rng(5)
    found = {}
    for layer in range(2):
        found[f"{layer}.weight"] = draw.normal(0, 0.3, (width, width)).astype(np.float32)
        found[f"{layer}.bias"] = draw.normal(0, 0.3, width).astype(np.float32)
    return found


@pytest.fixture
def tuned(tiny_model: Path, tmp_path: Path):
    """`lens --tuned` of a file of arrays, on the tiny model: 2 layers."""

    def ask(arrays: Arrays, *argv: str, name: str = "lens.safetensors", **more):
        save_file(arrays, tmp_path / name)
        argv = ("--tuned", str(tmp_path / name), *argv, PROMPT)
        return run("lens", "-m", str(tiny_model), *argv, **more)

    return ask


@pytest.mark.parametrize(("dtype", "prefix"), [("float32", "layer_translators."), ("float16", "")])
@pytest.mark.parametrize("biased", [True, False])
def test_streams_are_translated_before_they_are_read_out(
    tuned, tiny_model, width, dtype, prefix, biased
):
    """Catches the translator of another layer, one that is turned, in place of the stream or
    behind the norm, and a last stream that is translated, too."""
    every = {f"{prefix}{name}": a.astype(dtype) for name, a in translators(width).items()}
    arrays = {name: a for name, a in every.items() if biased or "weight" in name}
    found = json.loads(tuned(arrays, "--json", "-k", "1").text)
    runner = open_runner(tiny_model, dtype="float32", device="cpu")
    ids = [each["id"] for each in found["tokens"]]
    streams = Streams(range(len(ids)))
    runner.prefill([ids], runner.new_state(), probe=streams)
    plain = json.loads(run("lens", "-m", str(tiny_model), "--json", "-k", "1", PROMPT).text)
    for at, row in enumerate(found["grid"]):
        x = host(streams.after(at - 1)).astype(np.float64)
        if at < 2:
            weight = arrays[f"{prefix}{at}.weight"].astype(np.float64)
            bias = arrays.get(f"{prefix}{at}.bias", np.zeros(width)).astype(np.float64)
            x = np.array([each + weight @ each + bias for each in x])
        chances = softmax(host(runner.logits_of_streams(x.astype(np.float32))))
        assert [each["top"][0]["id"] for each in row] == chances.argmax(-1).tolist()
        said = [each["top"][0]["probability"] for each in row]
        assert said == pytest.approx(chances.max(-1).tolist(), abs=1e-5)
    assert found["grid"][-1] == plain["grid"][-1] and found["grid"][0] != plain["grid"][0]
    assert found["tuned"].endswith("lens.safetensors") and "tuned" not in plain


def test_of_nothing_it_is_the_logit_lens(tuned, tiny_model, width, tmp_path):
    """Catches numbers that a translator of zeros changes, and views that do not name it."""
    nothing = {name: np.zeros_like(array) for name, array in translators(width).items()}
    found = tuned(nothing, terminal=True, name="of nothing.safetensors")
    plain = run("lens", "-m", str(tiny_model), PROMPT, terminal=True)
    assert "of nothing.safetensors (a tuned lens)" in " ".join(seen(found.text, 80))
    assert found.text.splitlines()[:4] == plain.text.splitlines()[:4]
    page = tmp_path / "page.html"
    assert tuned(nothing, "--html", str(page)).code == 0
    assert "<h1>Tuned lens" in page.read_text()


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda a: a.pop("1.weight"), "lacks 1.weight, of 2 layers"),
        (lambda a: a.pop("0.bias"), "has 1 biases for 2 layers"),
        (lambda a: a.update({"2.weight": a["0.weight"]}), "has a translator 2"),
        (lambda a: a.update({"layer_translators.0.bias": a["0.bias"]}), "has 0.bias twice"),
        (lambda a: a.update({"unembed.weight": a["0.bias"]}), "tensor unembed.weight is none"),
        (lambda a: a.update({"00.weight": a["0.bias"]}), "tensor 00.weight is none"),
        (lambda a: a.update({"0.weight": a["0.weight"][:-1].copy()}), "tensor 0.weight has the"),
        (lambda a: a.update({"0.weight": a["0.weight"].astype(np.int32)}), "0.weight is I32"),
        (lambda a: a.update({"0.weight": a["0.weight"].astype("f8")}), "0.weight is F64"),
    ],
)
def test_what_is_no_lens_of_the_model_is_refused(tuned, width, change, part):
    """Catches a file that is half read, or read for another model."""
    arrays = translators(width)
    change(arrays)
    assert_one_line(tuned(arrays), 3, part)


def test_files_that_are_none(tuned, tiny_model, width, tmp_path):
    """Catches a pickle that is loaded, a directory or a file that ends a read in a traceback."""

    def ask(path: Path):
        return run("lens", "-m", str(tiny_model), "--tuned", str(path), PROMPT)

    pickled, cut = tmp_path / "params.pt", tmp_path / "cut.safetensors"
    pickled.write_bytes(b"\x80\x04.")
    done = ask(pickled)
    assert_one_line(done, 3, "is pickled, and pickles are not loaded")
    assert "weights_only=True" in done.err and "safetensors" in done.err
    assert_one_line(ask(tmp_path), 3, "is not a file")
    assert_one_line(ask(tmp_path / "none.safetensors"), 3, "cannot be read")
    tuned(translators(width))
    cut.write_bytes((tmp_path / "lens.safetensors").read_bytes()[:-1])
    assert_one_line(ask(cut), 3, "but its header describes")
    endless = {name: array * np.float32(np.inf) for name, array in translators(width).items()}
    assert tuned(endless).code == 8
    argv = ("--tuned", str(cut), "--parts", "head", PROMPT)
    assert_one_line(run("lens", "-m", str(tiny_model), *argv), 2, "--tuned: cannot be combined")
