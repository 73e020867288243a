"""`gptcli patch`, on tiny models of random weights."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gptcli.backends.local.alignment import aligned
from gptcli.engine.asking.continuations import logprobs_after
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.edits import Edit
from gptcli.engine.points import heads_of
from gptcli.engine.probes import effects as engine
from gptcli.engine.probes.kept import kept
from gptcli.engine.runner import Runner
from gptcli.ui.data.values import number
from gptcli.ui.data.writer import cell
from tests.cli.helpers import Done, run
from tests.cli.test_bad_input import assert_one_line
from tests.engine.helpers import GOLDENS
from tests.opening import open_runner
from tests.test_readme import write_tokenizer
from tests.ui.screens import assert_unbroken, seen

CLEAN, CORRUPT = "the cat sat on the mat", "the dog sat on the mat"
BOTH = ("--target", " on the log", "--versus", " together")
PROMPTS = ("--clean", CLEAN, "--corrupt", CORRUPT)
POINTS = {"stream": "stream", "attention": "attention", "mlp": "mlp", "head": "heads"}


@pytest.fixture
def patch(base_model: Path) -> Callable[..., Done]:
    """`patch` on the tiny model."""
    return lambda *argv, **more: run("patch", "-m", str(base_model), *argv, **more)


def answer(patch: Callable[..., Done], *argv: str) -> dict[str, Any]:
    done = patch("--json", *argv)
    assert done.code == 0, done.err
    return json.loads(done.text)


def odds(
    runner: Runner, ids: list[int], found: dict[str, Any], change: Any = lambda row: ()
) -> dict[str, float]:
    """The slow way: by the scorer of choices, in a state of its own.

    change: what is edited while a row follows.
    """
    names = [name for name in ("target", "versus") if found[name]]
    rows = [[each["id"] for each in found[name]["tokens"]] for name in names]
    scored = [
        logprobs_after(PrefixCache(runner.edited(change(row))), [ids], [[row]])[0][0]
        for row in rows
    ]
    return {name: math.fsum(each) for name, each in zip(names, scored, strict=True)}


def value(found: dict[str, float]) -> float:
    return found["target"] - found.get("versus", 0.0)


def assert_slow(runner: Runner, found: dict[str, Any]) -> None:
    """Every number is that of the slow way: one edit of one run after another."""
    texts = {name: [t["id"] for t in found[name]["tokens"]] for name in ("clean", "corrupt")}
    values = {name: value(odds(runner, ids, found)) for name, ids in texts.items()}
    assert found["clean"]["value"] == pytest.approx(values["clean"], abs=5e-5)
    assert found["corrupt"]["value"] == pytest.approx(values["corrupt"], abs=5e-5)
    for each in found["patches"]:
        origin, into = (
            ("clean", "corrupt")
            if each["direction"] == "denoise"
            else (
                "corrupt",
                "clean",
            )
        )
        ends = {name: len(ids) for name, ids in texts.items()}

        def change(row, each=each, origin=origin, into=into, ends=ends):
            layer = each["layer"]
            point: Any = "embedding" if layer < 0 else POINTS[found["at"]]
            ids = [*texts[origin], *row[:-1]]
            there = kept(runner, ids, [(point, layer)])[0].of((point, layer))
            part = range(there.shape[1])
            if each["head"] is not None:
                _, size = heads_of(runner.spec, layer)
                part = range(each["head"] * size, (each["head"] + 1) * size)
            every = found["pairs"]
            pairs = every if each["pair"] is None else [every[each["pair"]]]
            places = [(pair[origin], pair[into]) for pair in pairs]
            if places[-1] == (ends[origin] - 1, ends[into] - 1):
                places += [(ends[origin] + at, ends[into] + at) for at in range(len(row) - 1)]
            return [
                Edit(
                    *(point, layer, None, range(to, to + 1), part, 0.0),
                    there[of, part.start : part.stop].copy(),
                )
                for of, to in places
            ]

        after = odds(runner, texts[into], found, change)
        for name, logprob in after.items():
            assert each[name]["logprob"] == pytest.approx(logprob, abs=5e-5)
        share = (value(after) - values["corrupt"]) / (values["clean"] - values["corrupt"])
        assert each["normalized"] == pytest.approx(share, abs=1e-3)


@pytest.mark.parametrize("at", ["stream", "attention", "mlp", "head"])
@pytest.mark.parametrize("more", [(), ("--together",)])
def test_each_patch_is_what_it_is_by_itself(patch, base_model, at, more):
    """Catches what is taken from another position, layer or run, or put there."""
    found = answer(patch, "--at", at, *more, *PROMPTS, *BOTH)
    runner = open_runner(base_model)
    assert_slow(runner, found)
    layers, heads = runner.spec.layers, runner.spec.heads
    each = {"stream": layers + 1, "head": layers * heads}.get(at, layers)
    places = 1 if more else len(found["pairs"])
    assert len(found["patches"]) == 2 * each * places
    assert [each["direction"] for each in found["patches"]] == sorted(
        each["direction"] for each in found["patches"]
    )


@pytest.mark.parametrize("more", [(), ("--together",)])
def test_the_ends_of_the_scale(patch, more):
    """Catches a scale that is upside down, and tokens of a target that meet the other run's keys:
    all of the stream at once, or the last of it where the answer is read, is the other run."""
    found = answer(patch, *more, *PROMPTS, *BOTH)
    assert len(found["clean"]["tokens"]) == len(found["corrupt"]["tokens"])
    assert found["with_target"] and len(found["target"]["tokens"]) > 1
    last = {"layer": found["layers"] - 1, "pair": len(found["pairs"]) - 1}
    ends = {"denoise": 1.0, "noise": 0.0}
    patches = [each for each in found["patches"] if more or last.items() <= each.items()]
    assert len(patches) == (2 * (found["layers"] + 1) if more else 2)
    for each in patches:
        assert each["normalized"] == pytest.approx(ends[each["direction"]], abs=1e-4)


def test_a_target_cut_otherwise_after_the_other_prompt(patch):
    """Catches what one token has that is put where another stands."""
    argv = ("--clean", "the old ca", "--corrupt", "the big do", "--target", "t now")
    done = patch("--json", "--together", "--align", "right", *argv)
    found = json.loads(done.text)
    assert not found["with_target"] and len(found["target"]["tokens"]) > 1
    assert "the same tokens after both prompts" in done.err


@pytest.mark.parametrize(
    ("clean", "corrupt", "tokens", "left", "right"),
    [
        ("abcde", "abxde", ["aa", "bb", "cx", "dd", "ee"], None, None),
        ("abcde", "abde", ["aa", "bb", "dd", "ee"], ["aa", "bb", "cd", "de"], None),
        ("abcde", "axyde", ["aa", "bx", "cy", "dd", "ee"], None, None),
        ("abde", "axyzde", ["aa", "bx", "dd", "ee"], ["aa", "bx", "dy", "ez"], None),
        ("ab", "xab", ["aa", "bb"], ["ax", "ba"], ["aa", "bb"]),
        ("aab", "ab", ["aa", "bb"], ["aa", "ab"], ["aa", "bb"]),
        ("abc", "xyz", ["ax", "by", "cz"], None, None),
    ],
)
def test_how_prompts_are_aligned(clean, corrupt, tokens, left, right):
    """Catches a position that has two partners, and an end that is not aligned."""
    ids = [list(map(ord, text)) for text in (clean, corrupt)]
    for how, wanted in (("tokens", tokens), ("left", left), ("right", right)):
        pairs = aligned(*ids, how)
        assert all(one < other for one, other in pairwise(pairs))
        assert len({a for a, _ in pairs}) == len({b for _, b in pairs}) == len(pairs)
        if wanted is not None:
            assert [clean[a] + corrupt[b] for a, b in pairs] == wanted


@pytest.mark.parametrize("how", ["tokens", "left", "right"])
def test_prompts_of_unequal_length(patch, base_model, how):
    """Catches positions of the one that are taken for those of the other."""
    argv = ("--clean", CLEAN, "--corrupt", "the old dog sat on the mat", "--align", how)
    found = answer(patch, "--at", "mlp", *argv, *BOTH)
    assert found["align"] == how
    assert any(pair["clean"] != pair["corrupt"] for pair in found["pairs"]) == (how != "left")
    assert_slow(open_runner(base_model), found)


def test_nothing_is_patched_where_nothing_differs(patch):
    """Catches time spent on what both prompts begin with, and a window of another prompt."""
    found = answer(patch, *PROMPTS, *BOTH)
    texts = [[t["id"] for t in found[name]["tokens"]] for name in ("clean", "corrupt")]
    first = next(at for at, (a, b) in enumerate(zip(*texts, strict=True)) if a != b)
    assert found["pairs"][0] == {"clean": first, "corrupt": first} and first > 0
    assert found["pairs"][-1]["clean"] == len(texts[0]) - 1
    last = answer(patch, "--window=-1:", "--direction", "noise", *PROMPTS, *BOTH)
    assert last["pairs"] == found["pairs"][-1:]
    assert {each["direction"] for each in last["patches"]} == {"noise"}


def test_the_likeliest_token_after_the_clean_prompt_is_asked_about(patch, base_model):
    """Catches the other prompt's token, and another text after the other prompt."""
    found = answer(patch, "--at", "mlp", *PROMPTS)
    assert found["target"]["likeliest"] and found["versus"] is None
    runner = open_runner(base_model)
    ids = [each["id"] for each in found["clean"]["tokens"]]
    best = int(runner.prefill([ids], runner.new_state())[0].argmax())
    assert [each["id"] for each in found["target"]["tokens"]] == [best]
    assert_slow(runner, found)
    assert_slow(runner, answer(patch, "--at", "mlp", *PROMPTS, "--versus", " together"))


@pytest.mark.parametrize("case", ["qwen3_5_text/plain", "nemotron_h/mixture"])
@pytest.mark.parametrize("at", ["stream", "attention", "head"])
def test_recurrent_layers(tmp_path, case, at):
    """Catches a state that is gone back to where it cannot be."""
    model = tmp_path / "m"
    shutil.copytree(GOLDENS / case, model, ignore=shutil.ignore_patterns("golden.*"))
    write_tokenizer(model / "tokenizer.json")
    argv = ("--clean", "The cat sat", "--corrupt", "The dog sat", "--target", "a", "--versus", "b")
    done = run("patch", "-m", str(model), "--dtype", "float32", "--at", at, "--json", *argv)
    assert done.code == 0, done.err
    assert_slow(open_runner(model, dtype="float32"), json.loads(done.text))


@pytest.mark.parametrize("at", ["stream", "head"])
def test_rows_and_arrays_are_the_json(patch, tmp_path, at):
    """Catches forms that differ."""
    argv = ("--at", at, *PROMPTS, *BOTH)
    found = answer(patch, "--npz", str(tmp_path / "a.npz"), *argv)
    heads, *rows = [line.split("\t") for line in patch(*argv).text.splitlines()]
    arrays = np.load(tmp_path / "a.npz")
    layers = arrays["layers"].tolist()
    for row, each in zip(rows, found["patches"], strict=True):
        cells, pair = dict(zip(heads, row, strict=True)), found["pairs"][each["pair"]]
        assert cells["direction"] == each["direction"]
        assert cells["layer"] == ("embed" if each["layer"] < 0 else str(each["layer"]))
        assert cells["head"] == ("" if each["head"] is None else str(each["head"]))
        assert [cells["clean_position"], cells["corrupt_position"]] == [
            str(pair["clean"]),
            str(pair["corrupt"]),
        ]
        token = found["corrupt"]["tokens"][pair["corrupt"]]
        assert cells["corrupt_token"] == cell(bytes(token["bytes"]))
        assert cells["normalized"] == number(each["normalized"])
        assert cells["versus_logprob"] == number(each["versus"]["logprob"])
        at_place = ["denoise", "noise"].index(each["direction"]), layers.index(each["layer"])
        place = (*at_place, each["pair"], each["head"] or 0)
        assert arrays["normalized"][place] == np.float32(each["normalized"])
        assert arrays["logprobs"][place][0] == np.float32(each["target"]["logprob"])
    assert arrays["pairs"].tolist() == [[p["clean"], p["corrupt"]] for p in found["pairs"]]


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_lines_fit_the_terminal(patch, width, term, monkeypatch):
    """Catches a line that breaks, and a rule that is not told."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", term)
    prompts = ("--clean", "a\tb 日本語 שלום " + CLEAN, "--corrupt", "x 日本語 שלום " + CLEAN)
    for at in ("stream", "head"):
        text = patch("--at", at, *prompts, *BOTH, terminal=True).text
        assert_unbroken(text, width)
        lines = " ".join(" ".join(seen(text, width)).split())
        assert "0 is the corrupt run, 1 the clean one" in lines
        assert "aligned: the tokens that both prompts begin with" in lines
        assert "denoise: " in lines and "noise: " in lines
        assert ("\x1b[" not in text) or term != "dumb"


def test_what_was_known_is_kept_when_it_is_ended(patch, monkeypatch):
    """Catches an answer that Ctrl-C throws away, and one that does not say that it is partial."""
    whole = answer(patch, *PROMPTS, *BOTH)
    real, calls = engine.logprobs_of_branches, []

    def ended(*args: Any) -> Any:
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr("gptcli.engine.asking.variants.ROWS", 2)
    monkeypatch.setattr(engine, "logprobs_of_branches", ended)
    done = patch("--json", *PROMPTS, *BOTH)
    found = json.loads(done.text)
    assert done.code == 130 and found["partial"] and not whole["partial"]
    assert f"partial: 4 of {len(whole['patches'])} were computed" in done.err
    known = [each for each in found["patches"] if each["value"] is not None]
    assert known == whole["patches"][:4] and len(found["patches"]) == len(whole["patches"])


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("--clean", CLEAN), 2, "--corrupt"),
        (("--clean", "", "--corrupt", CLEAN), 4, "--clean: is empty"),
        (("--clean", CLEAN, "--corrupt", CLEAN), 4, "--corrupt: is the same as --clean"),
        (("--clean", CLEAN, "--corrupt", CLEAN + " a", "--align", "left"), 4, "no position that"),
        ((*PROMPTS, "--target", ""), 4, "--target: adds no token"),
        ((*PROMPTS, "--at", "neuron"), 2, "--at"),
        ((*PROMPTS, "--align", "middle"), 2, "--align"),
        ((*PROMPTS, "--direction", "up"), 2, "--direction"),
        ((*PROMPTS, "--window", ":1"), 2, "--window: holds no aligned position"),
        ((*PROMPTS, "-m", "echo"), 2, "echo: cannot have activations put into it"),
        (("--clean", "a " * 700 + "b", "--corrupt", "a"), 5, "--clean: has "),
    ],
)
def test_bad_input(patch, argv, code, part):
    """Catches what cannot be and is not told in one line."""
    assert_one_line(patch(*argv), code, part)
