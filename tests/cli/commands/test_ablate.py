"""`gptcli ablate`, on tiny models of random weights."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gptcli.backends.local import reference
from gptcli.engine.asking import variants as batching
from gptcli.engine.asking.continuations import logprobs_after
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.edits import Edit
from gptcli.engine.points import heads_of, is_there
from gptcli.engine.probes import effects as engine
from gptcli.engine.probes.kept import kept
from gptcli.engine.runner import Runner
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.model_part import part_of
from gptcli.ui.data.values import number
from gptcli.ui.data.writer import cell
from tests.cli.helpers import Done, run
from tests.cli.test_bad_input import assert_one_line
from tests.engine.helpers import GOLDENS
from tests.opening import open_runner
from tests.test_readme import write_tokenizer
from tests.ui.screens import assert_unbroken, seen

PROMPT = "the cat sat on the mat. the dog sat"
TARGET, VERSUS = " on the log", " together"
BOTH = ("--target", TARGET, "--versus", VERSUS)


@pytest.fixture
def ablate(base_model: Path) -> Callable[..., Done]:
    """`ablate` on the tiny model."""
    return lambda *argv, **more: run("ablate", "-m", str(base_model), *argv, **more)


def answer(ablate: Callable[..., Done], *argv: str) -> dict[str, Any]:
    done = ablate("--json", *argv)
    assert done.code == 0, done.err
    return json.loads(done.text)


def mean(runner: Runner, ids: list[int], point: Any, layer: int) -> np.ndarray:
    """The slow way to the mean over a text, less its first token."""
    found, _ = kept(runner, ids, [(point, layer)])
    return found.of((point, layer))[1:].mean(axis=0)


def edits_of(runner: Runner, name: str, text: list[int] | None) -> list[Edit]:
    """What switches a part off, to zero or to the mean over a text."""
    part, spec = part_of(name), runner.spec
    layer = -1 if part.layer is None else part.layer
    updates = [p for p in ("attention", "mlp", "told") if part.kind == "layer"]
    points = {"head": ["heads"], "position": ["embedding"], "layer": updates}
    found = []
    for point in points.get(part.kind, [part.kind]):
        if not is_there(point, spec, layer):
            continue
        numbers = None if text is None else mean(runner, text, point, layer)
        features, positions = None, None
        if part.kind == "head":
            _, size = heads_of(spec, layer)
            features = range(part.index * size, (part.index + 1) * size)
            numbers = None if numbers is None else numbers[features.start : features.stop]
        if part.kind == "position":
            positions = range(part.index, part.index + 1)
        found.append(Edit(point, layer, None, positions, features, 0.0, numbers))
    return found


def odds(runner: Runner, found: dict[str, Any]) -> dict[str, float]:
    """The slow way: by the scorer of choices, in a state of its own."""
    ids = [each["id"] for each in found["tokens"]]
    names = [name for name in ("target", "versus") if found[name]]
    rows = [[each["id"] for each in found[name]["tokens"]] for name in names]
    scored = [logprobs_after(PrefixCache(runner), [ids], [[row]])[0][0] for row in rows]
    return {name: math.fsum(each) for name, each in zip(names, scored, strict=True)}


def value(found: dict[str, float]) -> float:
    return found["target"] - found.get("versus", 0.0)


@pytest.mark.parametrize("each", ["head", "layer", "mlp", "attention", "position"])
@pytest.mark.parametrize("put", ["zero", "mean"])
def test_each_part_is_what_it_is_by_itself(ablate, base_model, tmp_path, each, put):
    """Catches another part than is told, another mean, and numbers that depend on a batch."""
    text = "a dog and a cat on the mat"
    (tmp_path / "text").write_text(text)
    argv = ("--each", each, "--with", put, "--reference", str(tmp_path / "text"))
    found = answer(ablate, *argv, *BOTH, PROMPT)
    runner = open_runner(base_model)
    spec = json.loads(run("tokens", "-m", str(base_model), "--json", text).text)
    ids = [token["id"] for token in spec["tokens"]]
    before = odds(runner, found)
    assert found["value"] == value(before) == found["value_with_nothing_off"]
    names = []
    for step in found["steps"]:
        (part,) = step["parts"]
        names.append(part["part"])
        edits = edits_of(runner, part["part"], None if put == "zero" else ids)
        after = odds(runner.edited(edits), found)
        for name, logprob in after.items():
            assert step[name]["logprob"] == pytest.approx(logprob, abs=5e-5)
        assert step["change"] == pytest.approx(value(after) - value(before), abs=1e-4)
    strengths = [abs(step["change"]) for step in found["steps"]]
    assert strengths == sorted(strengths, reverse=True) and strengths[0] > 1e-4
    layers, heads = runner.spec.layers, runner.spec.heads
    counts = {"head": layers * heads, "position": len(found["tokens"])}
    assert len(set(names)) == len(names) == counts.get(each, layers)
    assert found["reference_tokens"] == (0 if put == "zero" else len(ids) - 1)


def test_a_small_batch_changes_no_bit(ablate, monkeypatch):
    """Catches numbers that depend on who runs beside."""
    whole = ablate("--json", *BOTH, PROMPT).text
    monkeypatch.setattr(batching, "ROWS", 1)
    assert ablate("--json", *BOTH, PROMPT).text == whole


def test_several_by_themselves_and_together(ablate, base_model):
    """Catches parts that are off together and not all, and names that are read otherwise."""
    found = answer(ablate, "--with", "zero", "--off", "1.0,0,mlp:1,position:3", *BOTH, PROMPT)
    named = ["1.0", "0", "mlp:1", "position:3"]
    steps = {tuple(part["part"] for part in step["parts"]): step for step in found["steps"]}
    assert set(steps) == {(name,) for name in named} | {tuple(named)}
    runner = open_runner(base_model)
    for names, step in steps.items():
        edits = [edit for name in names for edit in edits_of(runner, name, None)]
        after = odds(runner.edited(edits), found)
        assert step["target"]["logprob"] == pytest.approx(after["target"], abs=5e-5)


def test_each_beside_what_is_always_off(ablate, base_model):
    """Catches a base that is not without them, and one that is counted as a part."""
    argv = ("--with", "zero", "--off", "0.1", "--each", "head", *BOTH, PROMPT)
    found = answer(ablate, *argv)
    runner = open_runner(base_model)
    base = edits_of(runner, "0.1", None)
    assert found["off"] == ["0.1"]
    assert found["value"] == pytest.approx(value(odds(runner.edited(base), found)), abs=5e-5)
    assert found["value_with_nothing_off"] == pytest.approx(value(odds(runner, found)), abs=5e-5)
    assert "0.1" not in [step["parts"][0]["part"] for step in found["steps"]]
    for step in found["steps"]:
        edits = [*base, *edits_of(runner, step["parts"][0]["part"], None)]
        after = odds(runner.edited(edits), found)
        assert step["target"]["logprob"] == pytest.approx(after["target"], abs=5e-5)


def test_a_window_is_where_they_are_off(ablate):
    """Catches parts that are off at other positions, and an end that is none."""
    whole = answer(ablate, "--with", "zero", "--each", "mlp", "--target", " on", PROMPT)
    last = len(whole["tokens"]) - 1
    changed = {
        window: answer(ablate, "--with", "zero", "--each", "mlp", "--window", window, *BOTH, PROMPT)
        for window in (f"{last}:", f"{last}:{last + 1}", ":1", "0:")
    }
    assert changed["0:"]["steps"] != changed[":1"]["steps"]
    # The target's later tokens run too: only a window without an end reaches them.
    assert changed[f"{last}:"]["steps"] != changed[f"{last}:{last + 1}"]["steps"]
    everywhere = answer(ablate, "--with", "zero", "--each", "mlp", *BOTH, PROMPT)
    assert changed["0:"]["steps"] == everywhere["steps"]


def test_resampling_has_a_seed(ablate):
    """Catches draws that do not come again, and a seed that is not told."""
    argv = ("--with", "resample", *BOTH, PROMPT)
    found = [answer(ablate, *argv, "--seed", seed) for seed in "112"]
    assert found[0] == found[1] and found[0]["steps"] != found[2]["steps"]
    assert [each["seed"] for each in found] == [1, 1, 2]
    assert answer(ablate, *argv)["seed"] is not None


def test_the_likeliest_token_is_asked_about_and_named(ablate, base_model):
    """Catches another token than the model's first."""
    found = answer(ablate, PROMPT)
    told = json.loads(run("top-k", "-m", str(base_model), "--json", "-k", "1", PROMPT).text)
    assert found["target"]["likeliest"] and found["each"] == "head" and found["with"] == "mean"
    assert found["target"]["tokens"][0]["token"] == told["top_logprobs"][0]["token"]


@pytest.mark.parametrize(
    ("case", "kinds"),
    [
        ("mixtral/all", ["expert", "head"]),
        ("qwen3_5_text/plain", ["head", "layer"]),
        ("nemotron_h/mixture", ["expert", "attention", "mlp", "position"]),
    ],
)
def test_mixtures_and_recurrent_layers(tmp_path, case, kinds):
    """Catches a kind of layer that has no heads to switch off, and experts that stay on."""
    model = tmp_path / "m"
    shutil.copytree(GOLDENS / case, model, ignore=shutil.ignore_patterns("golden.*"))
    write_tokenizer(model / "tokenizer.json")
    for kind in kinds:
        done = run("ablate", "-m", str(model), "--json", "--each", kind, "The cat sat")
        assert done.code == 0, done.err
        steps = json.loads(done.text)["steps"]
        assert {step["parts"][0]["kind"] for step in steps} == {kind}
        assert any(abs(step["change"]) > 1e-6 for step in steps)
        assert ("the place of experts" in done.err) == (kind == "expert")


def test_rows_and_arrays_are_the_json(ablate, tmp_path):
    """Catches forms that differ."""
    argv = ("--each", "position", *BOTH, PROMPT)
    found = answer(ablate, "--npz", str(tmp_path / "a.npz"), *argv)
    heads, *rows = [line.split("\t") for line in ablate(*argv).text.splitlines()]
    assert heads[:6] == ["part", "kind", "layer", "index", "token", "change"]
    for row, step in zip(rows, found["steps"], strict=True):
        cells = dict(zip(heads, row, strict=True))
        (part,) = step["parts"]
        assert cells["part"] == part["part"] and cells["index"] == str(part["position"])
        assert cells["token"] == cell(bytes(part["bytes"]))
        assert cells["change"] == number(step["change"])
        assert cells["logprob_after"] == number(step["target"]["logprob"])
        assert cells["versus_logprob_before"] == number(found["versus"]["logprob"])
    arrays = np.load(tmp_path / "a.npz")
    for step in found["steps"]:
        assert arrays["parts"][step["index"]] == step["parts"][0]["part"]
        assert arrays["changes"][step["index"]] == np.float32(step["change"])
        pair = [step[name]["logprob"] for name in ("target", "versus")]
        assert arrays["logprobs_after"][step["index"]].tolist() == np.float32(pair).tolist()


def test_the_text_goes_on_without_them(ablate, base_model, tmp_path):
    """Catches a continuation of the whole model, and anything else on stdout."""
    off = ("--with", "zero", "--off", "0,1.0")
    done = ablate(*off, "-n", "6", "--temp", "0", PROMPT)
    whole = run("complete", "-m", str(base_model), "-n", "6", "--temp", "0", PROMPT)
    assert done.code == 0 and done.text != whole.text
    runner = open_runner(base_model)
    edits = [edit for name in ("0", "1.0") for edit in edits_of(runner, name, None)]
    told = json.loads(run("tokens", "-m", str(base_model), "--json", PROMPT).text)
    ids, state = [token["id"] for token in told["tokens"]], runner.new_state()
    off_runner, drawn = runner.edited(edits), []
    logits = off_runner.prefill([ids], state)
    for _ in range(6):
        drawn.append(int(logits[0].argmax()))
        logits = off_runner.decode(drawn[-1:], state)
    found = json.loads(ablate(*off, "--json", "-n", "6", "--temp", "0", PROMPT).text)
    assert found["choices"][0]["text"] == done.text and found["model"]
    tokenizer = Tokenizer(base_model)
    assert b"".join(map(tokenizer.bytes_of, drawn)).decode(errors="replace") == done.text


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_lines_fit_the_terminal(ablate, width, term, monkeypatch):
    """Catches a line that breaks, and a map without all of its numbers."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", term)
    for argv in (("--each", "head"), ("--each", "position"), ("--off", "0.1,mlp:1")):
        text = ablate(*argv, *BOTH, "a\tb 日本語 שלום " + PROMPT, terminal=True).text
        assert_unbroken(text, width)
        lines = "\n".join(seen(text, width))
        assert "follows with" in lines and "reference text" in lines
        assert ("\x1b[" not in text) or term != "dumb"
    text = "\n".join(seen(ablate("--each", "head", *BOTH, PROMPT, terminal=True).text, width))
    assert len(re.findall(r"^ +[01](?: +[+-]\d+\.\d+)+$", text, re.MULTILINE)) == 2


def test_what_was_known_is_kept_when_it_is_ended(ablate, monkeypatch):
    """Catches an answer that Ctrl-C throws away, and one that does not say that it is partial."""
    whole = answer(ablate, *BOTH, PROMPT)
    real = engine.logprobs_of_branches
    calls = []

    def ended(*args: Any) -> Any:
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(batching, "ROWS", 1)
    monkeypatch.setattr(engine, "logprobs_of_branches", ended)
    done = ablate("--json", *BOTH, PROMPT)
    found = json.loads(done.text)
    assert done.code == 130 and found["partial"]
    assert f"partial: 3 of {len(whole['steps'])} were computed" in done.err
    known = [step for step in found["steps"] if step["change"] is not None]
    assert len(known) == 3 and len(found["steps"]) == len(whole["steps"])
    same = {step["index"]: step for step in whole["steps"]}
    assert all(step == same[step["index"]] for step in known)


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("--off", "9.0", PROMPT), 2, "--off: 9.0: the model has layers 0 to 1"),
        (("--off", "1.99", PROMPT), 2, "--off: 1.99: layer 1 has heads 0 to "),
        (("--off", "x", PROMPT), 2, "--off: 'x' names no part"),
        (("--off", "mlp:1.2", PROMPT), 2, "--off: 'mlp:1.2': mlp needs one number"),
        (("--off", "head:1", PROMPT), 2, "--off: 'head:1': head needs LAYER.NUMBER"),
        (("--off", "expert:0.1", PROMPT), 2, "--off: expert:0.1: layer 0 has no expert"),
        (("--off", "position:99", PROMPT), 2, "--off: position:99: the prompt has positions 0 to"),
        (("--each", "expert", PROMPT), 2, "--each: "),
        (("--each", "neuron", PROMPT), 2, "--each"),
        (("--with", "noise", PROMPT), 2, "--with"),
        (("--target", "", PROMPT), 4, "--target: adds no token"),
        (("--target", "a", "--versus", "a", PROMPT), 2, "--versus: 'a' is the target itself"),
        (("--window", "99:", PROMPT), 2, "--window: holds none"),
        (("-n", "3", PROMPT), 2, "-n: goes on while parts are off"),
        (("-n", "3", "--off", "0", "--each", "mlp", PROMPT), 2, "-n: prints the text"),
        (("--reference", "/nowhere", PROMPT), 4, "/nowhere: "),
        (("--reference", "/dev/null", PROMPT), 4, "--reference: has too few tokens"),
        (("-m", "echo", PROMPT), 2, "echo: cannot have parts switched off"),
        (("a " * 700,), 5, "more than the context"),
    ],
)
def test_bad_input(ablate, argv, code, part):
    """Catches what cannot be and is not told in one line."""
    assert_one_line(ablate(*argv), code, part)


def test_a_long_reference_is_read_in_part_and_said_so(ablate, tmp_path, monkeypatch):
    """Catches a text that is cut silently, and pieces that are longer than the context."""
    monkeypatch.setattr(reference, "MOST", 30)
    monkeypatch.setattr(reference, "PIECE", 8)
    (tmp_path / "text").write_text(PROMPT * 9)
    done = ablate("--json", "--reference", str(tmp_path / "text"), *BOTH, PROMPT)
    assert done.code == 0 and "--reference: the first 30 of " in done.err
    # The first token of each piece counts for nothing.
    assert json.loads(done.text)["reference_tokens"] == 30 - 4
