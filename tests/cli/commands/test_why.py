"""`gptcli why`, on a tiny model of random weights."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gptcli.engine.asking import edits
from gptcli.engine.asking.continuations import logprobs_after
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.runner import Runner
from gptcli.ui.data.values import number
from gptcli.ui.data.writer import cell
from tests.cli.helpers import Done, run
from tests.cli.test_bad_input import assert_one_line
from tests.opening import open_runner
from tests.ui.screens import assert_unbroken, seen

PROMPT = "the cat sat on the mat. the dog sat"
TARGET, VERSUS = " on the log", " together"
BOTH = ("--target", TARGET, "--versus", VERSUS)


@pytest.fixture
def why(base_model: Path) -> Callable[..., Done]:
    """`why` on the tiny model."""
    return lambda *argv, **more: run("why", "-m", str(base_model), *argv, **more)


def answer(why: Callable[..., Done], *argv: str) -> dict[str, Any]:
    done = why("--json", *argv)
    assert done.code == 0, done.err
    return json.loads(done.text)


def alone(runner: Runner, ids: list[int], found: dict[str, Any]) -> dict[str, float]:
    """The slow way: what follows these ids, by the scorer of choices, in a state of its own."""
    names = [name for name in ("target", "versus") if found[name]]
    rows = [[each["id"] for each in found[name]["tokens"]] for name in names]
    (scored,) = logprobs_after(PrefixCache(runner), [ids], [rows])
    return {name: math.fsum(each) for name, each in zip(names, scored, strict=True)}


def spans(found: dict[str, Any]) -> dict[int, range]:
    """The positions of each part, by its index."""
    parts = found["parts"]
    return {p["index"]: range(p["position"], p["position"] + p["tokens"]) for p in parts}


def value(odds: dict[str, float]) -> float:
    return odds["target"] - odds.get("versus", 0.0)


def assert_slow(runner: Runner, found: dict[str, Any], put: int | None = None) -> None:
    """Every number is that of the slow way, to the last bit."""
    ids, places = [each["id"] for each in found["tokens"]], spans(found)

    def without(*parts: int) -> dict[str, float]:
        out = {at for part in parts for at in places[part]}
        if put is None:
            left = [token for at, token in enumerate(ids) if at not in out]
        else:
            left = [put if at in out else token for at, token in enumerate(ids)]
        return alone(runner, left, found)

    before = alone(runner, ids, found)
    assert found["target"]["logprob"] == before["target"]
    assert found["value"] == value(before)
    changes = {}
    for part in found["parts"]:
        odds = without(part["index"])
        for name, logprob in odds.items():
            assert part[name]["logprob"] == logprob
            assert part[name]["probability"] == math.exp(logprob)
        changes[part["index"]] = part["change"]
        assert part["change"] == value(odds) - value(before)
    for pair in found["pairs"] or ():
        one, other = pair["parts"]
        change = value(without(one, other)) - value(before)
        assert pair["change"] == change
        assert pair["interaction"] == change - changes[one] - changes[other]
    strengths = [abs(part["change"]) for part in found["parts"]]
    assert strengths == sorted(strengths, reverse=True)


@pytest.mark.parametrize("by", ["token", "word", "sentence"])
@pytest.mark.parametrize("put", [None, " on"])
def test_each_part_is_what_it_is_by_itself(why, base_model, by, put):
    """Catches another part left out than is told, and numbers that depend on a batch."""
    argv = ("--by", by, *BOTH, *(("--replace", put) if put else ()))
    found = answer(why, *argv, PROMPT)
    runner = open_runner(base_model)
    assert_slow(runner, found, found["replace"]["id"] if put else None)
    texts = [each["text"] for each in sorted(found["parts"], key=lambda each: each["index"])]
    assert "".join(texts) == PROMPT and not found["partial"] and found["pairs"] is None
    count = {"token": len(found["tokens"]), "word": 10, "sentence": 2}[by]
    assert len(texts) == count
    assert "".join(each["token"] for each in found["target"]["tokens"]) == TARGET


@pytest.mark.parametrize("put", [(), ("--replace", " on")])
def test_pairs_are_those_left_out_together(why, base_model, put):
    """Catches places that are not those of what the first of two leaves."""
    found = answer(why, "--by", "word", "--pairs", *BOTH, *put, "the cat sat on the mat")
    assert len(found["pairs"]) == math.comb(6, 2)
    wanted = {tuple(pair) for pair in combinations(range(6), 2)}
    assert {tuple(each["parts"]) for each in found["pairs"]} == wanted
    assert_slow(open_runner(base_model), found, found["replace"]["id"] if put else None)


@pytest.mark.parametrize("through", ["torch", "kernels"])
def test_layers_that_carry_a_state(hybrid_model, through, monkeypatch):
    """Catches a state that went on with what was left out."""
    if through == "torch":
        monkeypatch.setattr("gptcli.engine.open.open_kernels", lambda *_: None)
    flags = ("why", "-m", str(hybrid_model), "--dtype", "float32", "--json", "--pairs")
    found = json.loads(run(*flags, *BOTH, "the cat sat on the mat").text)
    runner = open_runner(hybrid_model, dtype="float32")
    if through == "kernels":
        assert_slow(runner, found)
        return
    ids = [each["id"] for each in found["tokens"]]
    for part in found["parts"]:
        at = part["position"]
        odds = alone(runner, [*ids[:at], *ids[at + 1 :]], found)
        assert part["target"]["logprob"] == pytest.approx(odds["target"], abs=1e-4)


def test_without_a_target_it_is_the_likeliest_token(why, base_model):
    """Catches another token than `next` finds, and one that is not said to be nobody's choice."""
    found = answer(why, PROMPT)
    best = json.loads(run("next", "-m", str(base_model), "--json", "-k", "1", PROMPT).text)
    (token,) = found["target"]["tokens"]
    assert token["id"] == best["top_logprobs"][0]["id"] and found["target"]["likeliest"]
    assert found["target"]["logprob"] == pytest.approx(best["top_logprobs"][0]["logprob"])
    assert "the likeliest token, follows" in why(PROMPT, terminal=True).text
    assert answer(why, "--versus", VERSUS, PROMPT)["versus"]["text"] == VERSUS
    assert not answer(why, *BOTH, PROMPT)["target"]["likeliest"]


def test_control_tokens_stay(why):
    """Catches a template's tokens that are left out, or taken together with the text beside."""
    text = "<|role|>the cat<|end|>the dog"
    for by in ("token", "word", "line"):
        found = answer(why, "--special", "--by", by, "--target", " sat", text)
        ids = [each["id"] for each in found["tokens"]]
        special = {at for at, token in enumerate(ids) if token in (0, 1)}
        places = {at for span in spans(found).values() for at in span}
        assert len(special) == 2 and places == set(range(len(ids))) - special
    assert len(found["parts"]) == 2
    assert_one_line(
        why("--special", "--target", "a", "<|role|><|end|>"), 4, "nothing but control tokens"
    )


def test_a_target_within_a_token(why):
    """Catches a letter that is lost where prompt and target meet in a token."""
    done = why("--json", "--target", "t", "the dog and the ca")
    found = json.loads(done.text)
    assert found["target"]["text"].endswith("cat") and "joins the target" in done.err
    assert "".join(each["token"] for each in found["tokens"]) in ("the dog and the", "the dog and")
    spaced = answer(why, "--target", "cat", "the dog and the ")
    assert spaced["target"]["text"] == " cat"


def test_rows_and_arrays_are_the_json(why, tmp_path):
    """Catches forms that differ."""
    flags = ("--by", "word", "--pairs", *BOTH, "the cat sat")
    found = answer(why, "--npz", str(tmp_path / "a.npz"), *flags)
    heads, *rows = [line.split("\t") for line in why(*flags).text.splitlines()]
    told = [dict(zip(heads, row, strict=True)) for row in rows]
    assert len(told) == 3 + 3
    for row, part in zip(told[:3], found["parts"], strict=True):
        assert row["text"] == cell(part["text"]) and row["other_text"] == row["interaction"] == ""
        assert row["position"] == str(part["position"]) and row["tokens"] == str(part["tokens"])
        assert row["change"] == number(part["change"])
        assert row["logprob_before"] == number(found["target"]["logprob"])
        assert row["logprob_after"] == number(part["target"]["logprob"])
        assert row["probability_after"] == number(part["target"]["probability"])
        assert row["versus_probability_after"] == number(part["versus"]["probability"])
    for row, pair in zip(told[3:], found["pairs"], strict=True):
        assert row["interaction"] == number(pair["interaction"])
        assert row["change"] == number(pair["change"])
    arrays = np.load(tmp_path / "a.npz")
    for part in found["parts"]:
        assert arrays["changes"][part["index"]] == np.float32(part["change"])
    for pair in found["pairs"]:
        one, other = pair["parts"]
        assert arrays["interactions"][one, other] == np.float32(pair["interaction"])
    assert np.isnan(arrays["interactions"]).sum() == 3 and not arrays["partial"]
    places = {at: index for index, span in spans(found).items() for at in span}
    assert arrays["part_of"].tolist() == [places[at] for at in sorted(places)]


def interrupted(after: int) -> Callable[..., Iterator[Any]]:
    """Ctrl-C after so many batches of two."""
    asked, left = edits.logprobs_of_edits, [after]

    def cut(*args: Any) -> Iterator[Any]:
        for batch in asked(*args):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            yield batch

    return cut


def test_ctrl_c_keeps_what_is_done(why, monkeypatch, tmp_path):
    """Catches work that is thrown away, and half an answer that looks like a whole one."""
    flags = ("--by", "word", "--pairs", *BOTH, "the cat sat on")
    whole = answer(why, *flags)
    page = tmp_path / "a.html"
    monkeypatch.setattr(edits, "ROWS", 2)
    for batches, singles, pairs in ((1, 2, 0), (3, 4, 2)):
        outs = []
        for more in (("--json", "--html", str(page)), ()):
            with monkeypatch.context() as patch:
                patch.setattr(edits, "logprobs_of_edits", interrupted(batches))
                done = why(*more, *flags)
            assert done.code == 130
            assert f"partial: {singles + pairs} of 10 were computed" in done.err
            outs.append(done.text)
        found = json.loads(outs[0])
        assert found["partial"] and len(found["parts"]) == 4 and len(found["pairs"]) == 6
        known = [each for each in found["parts"] if each["change"] is not None]
        assert len(known) == singles
        every = {each["index"]: each for each in whole["parts"]}
        assert all(each == every[each["index"]] for each in known)
        lines = [line.split("\t") for line in outs[1].splitlines()]
        assert len(lines) == 11
        assert sum(each["change"] is not None for each in found["pairs"]) == pairs
        assert sum(row[6] == "" for row in lines[1:]) == 10 - singles - pairs
        assert "partial" in page.read_text()


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("term", ["xterm-256color", "xterm", "dumb"])
def test_lines_fit_the_terminal(why, width, term, monkeypatch):
    """Catches a line that breaks, a number that is lost, colours and blocks on a dumb terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", term)
    text = "a\tb 日本語\nשלום the cat sat on the mat"
    shown = why("--pairs", "-k", "7", *BOTH, text, terminal=True).text
    assert_unbroken(shown, width)
    lines = seen(shown, width)
    words = " ".join(" ".join(lines).split())
    assert "follows with" in words and "the difference of the log-probabilities is" in words
    assert "the 7 strongest of" in words and "maps of attention are no attributions" in words
    assert "float32 on cpu" in words
    changes = [line for line in lines if line.split()[-2:-1] and ("+" in line or "-" in line)]
    assert len(changes) >= 14
    if term == "dumb":
        assert "\x1b" not in shown and "█" not in shown and "#" in shown


def test_the_prompt_is_coloured_by_what_it_changes(why, monkeypatch):
    """Catches a colour of another token, and one sign for both."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "200")
    found = answer(why, *BOTH, PROMPT)
    strongest = found["parts"][0]
    shown = why(*BOTH, PROMPT, terminal=True).text
    colour = 214 if strongest["change"] < 0 else 117
    assert f"48;5;{colour}m{strongest['text']}\x1b" in shown


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("--target", "", PROMPT), 4, "--target: adds no token"),
        (("--versus", "", PROMPT), 4, "--versus: adds no token"),
        (("--target", " a", "--versus", " a", PROMPT), 2, "--versus: ' a' is the target itself"),
        (("--replace", "the cat sat", PROMPT), 4, "--replace: is"),
        (("--replace", "", PROMPT), 4, "--replace: is empty"),
        (("--by", "letter", PROMPT), 2, "--by"),
        (("--by", "line", "the cat"), 4, "is 1 line, and nothing would be left without it"),
        (("--by", "word", "--pairs", "the cat"), 4, "is 2 words, and nothing would be left"),
        (("--pairs", "a " * 160), 2, "pairs, and 10,000 are allowed"),
        (("a " * 600,), 5, "more than the context"),
        (("",), 4, "prompt: is empty"),
        (("-m", "echo", PROMPT), 2, "echo: cannot tell probabilities"),
        (("--html", "-", "--json", PROMPT), 2, "--html: cannot go to stdout beside --json"),
    ],
)
def test_bad_input(why, argv, code, part):
    """Catches a prompt of which nothing would be left, and work that would never end."""
    assert_one_line(why(*argv), code, part)


def test_memory_is_looked_at_first(why, monkeypatch):
    """Catches states that are made before it is known that they fit."""
    monkeypatch.setattr("gptcli.backends.local.memory.available_bytes", lambda _: 1000)
    assert_one_line(why(*BOTH, PROMPT), 6, "prompt: 1", "of memory")


@pytest.mark.slow
def test_a_picture(why, tmp_path):
    """Catches a picture of what was cut off that cannot be drawn."""
    pytest.importorskip("matplotlib")
    for pairs in ((), ("--pairs",)):
        done = why("--png", "-", *pairs, *BOTH, "the $cat$ sat")
        assert done.code == 0 and io.BytesIO(done.out).read(4) == b"\x89PNG"
