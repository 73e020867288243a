"""`gptcli explain`, on a tiny model of random weights."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pexpect
import pytest

from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.engine.helpers import Recorder
from tests.opening import load
from tests.ui.screens import assert_unbroken, seen

PROMPT = "the cat sat on the mat"


@pytest.fixture
def explain(tiny_model: Path):
    """`explain` on the tiny model."""
    return lambda *argv, **more: run("explain", "-m", str(tiny_model), *argv, **more)


def test_rounds_draw_what_complete_draws(explain, tiny_model):
    """Catches a probed pass that is another one than that which completes text."""
    flags = ("--seed", "3", "--temperature", "1.2")
    found = json.loads(explain("--json", "--steps", "6", *flags, PROMPT).text)
    done = run("complete", "-m", str(tiny_model), "-n", "6", *flags, PROMPT)
    assert found["text"] == done.text and found["seed"] == 3
    assert [each["round"] for each in found["rounds"]] == list(range(1, len(found["rounds"]) + 1))


def test_the_parts_add_up_and_are_those_of_the_model(explain, tiny_model):
    """Catches numbers of another layer or position, and an update told before it is finished."""
    found = json.loads(explain("--json", "--steps", "3", "--temp", "0", PROMPT).text)
    runner = load(tiny_model, dtype="float32", device="cpu")
    ids = [each["id"] for each in found["rounds"][0]["tokens"]]
    for each in found["rounds"]:
        assert each["sum_error"] < 1e-4 and each["prompt_tokens"] == len(ids)
        seen = Recorder(range(len(ids)))
        runner.prefill([ids], runner.new_state(), probe=seen)
        streams = {place: array[0, -1] for place, array in seen.by_place.items()}
        np.testing.assert_allclose(each["embedding"], streams["embedding", -1], atol=1e-6)
        # The KV cache sums in another order: float32, on a stream of length 1000 or so.
        last = streams["stream", 1]
        error = np.abs(np.array(each["last_vector"]) - last.numpy()).max()
        assert error < 1e-5 * last.norm()
        for block in each["blocks"]:
            update = streams[block["block"], block["layer"]]
            assert block["norm"] == pytest.approx(update.norm().item(), rel=1e-4)
            logits = runner.decoder.logits(streams["stream", block["layer"]])
            if block["block"] == "mlp":
                assert block["says"][0]["id"] == logits.argmax()
            else:
                assert sum(each["weight"] for each in block["looks_at"]) <= 1 + 1e-5
        drawn = each["drawn"]["id"]
        assert drawn == runner.decoder.logits(streams["stream", 1]).argmax()
        ids.append(drawn)


def test_parts_add_up_to_the_logit_of_what_is_drawn(explain, tiny_model):
    """Catches parts of another token or round, and a head that looks where another one does."""
    found = json.loads(explain("--json", "--steps", "2", "--seed", "5", PROMPT).text)
    maps = json.loads(run("attention", "-m", str(tiny_model), "--json", PROMPT).text)["maps"]
    weights = {(each["layer"], each["head"]): each["weights"][-1] for each in maps}
    for number, each in enumerate(found["rounds"]):
        drawn = each["drawn"]["id"]
        logits = {one["id"]: one["logit"] for one in each["distribution"]["top_logprobs"]}
        parts = each["parts"]
        sizes = [abs(part["adds"]) for part in parts]
        assert sizes == sorted(sizes, reverse=True)
        if drawn in logits:
            assert sum(part["adds"] for part in parts) == pytest.approx(logits[drawn], abs=1e-4)
        for part in parts if number == 0 else ():
            for look in part.get("looks_at", ()):
                own = weights[part["layer"], part["head"]][look["position"]]
                assert own == pytest.approx(look["weight"], abs=1e-5)
        assert any("looks_at" in part for part in parts)


def test_what_a_user_should_know_is_said_once(explain):
    """Catches a hint that two parts of the answer bring."""
    err = explain("--json", "the <|role|> sat ").err
    assert err.count("is read as plain text") == 1 and err.count("ends in a space") == 1


def test_layers_are_chosen(explain):
    """Catches a layer's number that names another one."""
    every = json.loads(explain("--json", "--seed", "1", PROMPT).text)["rounds"][0]["blocks"]
    some = json.loads(explain("--json", "--seed", "1", "--layers", "1", PROMPT).text)
    blocks = some["rounds"][0]["blocks"]
    assert [each["block"] for each in blocks] == ["attention", "mlp"]
    for one, other in zip(blocks, every[2:], strict=True):
        assert one["layer"] == other["layer"] == 1 and one["norm"] == other["norm"]
        assert [each["id"] for each in one["says"]] == [each["id"] for each in other["says"]]


def test_shapes_sum_to_the_model(explain, tiny_model):
    """Catches a part that is left out or counted twice."""
    found = json.loads(explain("--json", "--shapes", PROMPT).text)
    runner = load(tiny_model, dtype="float32", device="cpu")
    total = sum(parameter.numel() for parameter in runner.decoder.parameters())
    assert sum(part["parameters"] for part in found["parts"]) == found["parameters"] == total
    rows = [line.split("\t") for line in explain("--shapes", PROMPT).text.splitlines()[1:]]
    assert sum(int(row[5]) for row in rows if row[0] == "part") == total
    assert ["total", "", "", "", "", str(total)] in rows
    assert f"{total:,}" in explain("--shapes", PROMPT, terminal=True).text


def test_rows_for_a_pipe(explain):
    """Catches heads that come again with every round, and a row of another width."""
    lines = explain("--steps", "2", "--seed", "1", PROMPT).text.splitlines()
    rows = [line.split("\t") for line in lines]
    assert {len(row) for row in rows} == {7}
    assert [row[0] for row in rows].count("round") == 1
    assert {row[0] for row in rows[1:]} == {"1", "2"}
    stages = {"tokens", "embedding", "attention", "mlp", "unembedding", "softmax", "draw", "parts"}
    assert stages == {row[1] for row in rows[1:]}


@pytest.mark.parametrize(
    ("width", "flags", "colour"),
    [
        (40, ("--lang", "en"), True),
        (40, ("--lang", "zh"), False),
        (60, ("--lang", "zh"), True),
        (100, ("--lang", "en"), False),
        (40, ("--shapes",), True),
        (200, ("--shapes",), False),
    ],
)
def test_lines_fit_the_terminal(explain, width, flags, colour, monkeypatch):
    """Catches a line that breaks, wide characters that are counted as narrow ones."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    prompt = "a\tb 日本語 שלום " + PROMPT
    text = explain(*flags, "--steps", "2", "--seed", "1", prompt, terminal=True).text
    assert_unbroken(text, width)
    titles = [line for line in seen(text, width) if re.match(r"[12]\.\d+  ", line)]
    assert len(titles) == (1 if "--shapes" in flags else 20)


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("--layers", "2", PROMPT), 2, "--layers: must be from 0 to 1, not 2"),
        (("--layers", "a", PROMPT), 2, "--layers: must be whole numbers"),
        (("--lang", "de", PROMPT), 2, "--lang: must be en or zh"),
        (("--step", PROMPT), 2, "--step: needs a terminal"),
        (("--step", "--json", PROMPT), 2, "--step: cannot be combined with --json"),
        (("--shapes", "--npz", "x", PROMPT), 2, "--npz: cannot be combined with --shapes"),
        (("--steps", "0", PROMPT), 2, "--steps"),
        (("-m", "echo", PROMPT), 2, "echo: cannot be looked into"),
        (("-m", "echo", "--shapes", PROMPT), 2, "echo: cannot be looked into"),
        (("",), 4, "prompt: is empty"),
    ],
)
def test_bad_input(explain, argv, code, part):
    """Catches layers and languages that are not there."""
    assert_one_line(explain(*argv), code, part)


def test_a_full_context_ends_the_walk_and_is_said(explain):
    """Catches steps that are dropped silently."""
    full = len(json.loads(explain("--json", PROMPT).text)["rounds"][0]["tokens"])
    size = str(full + 2)
    done = explain("--json", "--steps", "9", "--ctx-size", size, "--seed", "1", PROMPT)
    rounds = json.loads(done.text)["rounds"]
    assert len(rounds) == 2 and not rounds[-1]["drawn"]["ends"]
    assert "the context is full after 2 of 9 steps" in done.err
    assert_one_line(explain("--ctx-size", str(full), PROMPT), 5, "fills the context")


@pytest.mark.slow
class TestStep:
    """--step, on a pseudo-terminal."""

    def spawn(self, tiny_model: Path) -> pexpect.spawn:
        argv = ["-m", "gptcli", "explain", "-m", str(tiny_model), "--step", "--steps", "2"]
        return pexpect.spawn(
            sys.executable,
            [*argv, "--seed", "1", PROMPT],
            dimensions=(14, 60),
            encoding="utf-8",
            timeout=30,
            env=os.environ | {"TERM": "xterm-256color"},
        )

    def test_keys_turn_the_pages_into_the_next_round(self, tiny_model):
        """Catches pages that cannot be turned back, and a walk that ends after its first round."""
        tool = self.spawn(tiny_model)
        tool.expect("1.1  Text is cut")
        tool.expect("page 1 of")
        for _ in range(60):
            tool.send("\x1b[C")
        tool.expect("2.1  Text is cut")
        tool.expect("2.10  It is appended")
        tool.expect("page 20 of 20")
        tool.send("\x1b[H")
        tool.expect("page 1 of 20")
        tool.send("q")
        tool.expect(pexpect.EOF)
        tool.close()
        assert tool.exitstatus == 0
        # The alternate screen is left.
        assert "\x1b[?1049l" in tool.before

    def test_ctrl_c_leaves_the_terminal_as_it_was(self, tiny_model):
        """Catches a shell left on the alternate screen, or a traceback."""
        tool = self.spawn(tiny_model)
        tool.expect("page 1 of")
        tool.sendintr()
        tool.expect(pexpect.EOF)
        tool.close()
        assert tool.signalstatus == signal.SIGINT
        assert "\x1b[?1049l" in tool.before and "Traceback" not in tool.before
