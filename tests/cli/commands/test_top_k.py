"""`gptcli top-k` on a tiny model of random weights."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from pathlib import Path

import pexpect
import pyte
import pytest

from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line

PROMPT = "the cat sat"


@pytest.fixture
def top_k(tiny_model: Path):
    """`top-k` on the tiny model, in float32."""
    return lambda *argv, **more: run(
        "top-k", "-m", str(tiny_model), "--dtype", "float32", *argv, **more
    )


def table(text: str) -> list[dict[str, str]]:
    heads, *rows = [line.split("\t") for line in text.splitlines()]
    return [dict(zip(heads, row, strict=True)) for row in rows]


def test_a_pipe_gets_rows_and_json_the_same_numbers(top_k):
    """Catches two forms that differ, rows out of order, and a mass that is not theirs."""
    rows = table(top_k("-k", "7", PROMPT).text)
    found = json.loads(top_k("-k", "7", "--json", PROMPT).text)
    assert [int(row["rank"]) for row in rows] == list(range(1, 8))
    for row, each in zip(rows, found["top_logprobs"], strict=True):
        assert int(row["id"]) == each["id"]
        for name in ("logit", "logprob", "probability", "drawn"):
            assert float(row[name]) == pytest.approx(each[name], rel=1e-6)
        assert row["cut_by"] == (each["cut_by"] or "")
        assert math.exp(each["logprob"]) == pytest.approx(each["probability"], rel=1e-5)
    assert found["raw"]["mass"] == pytest.approx(sum(float(row["probability"]) for row in rows))
    assert found["raw"]["choices"] == pytest.approx(2 ** found["raw"]["entropy"])
    assert (found["dtype"], found["device"]) == ("float32", "cpu")
    assert "seed" not in found


def test_the_same_command_gives_the_same_bytes(top_k):
    """Catches a timestamp, or an order among ties that is left to chance."""
    for flags in (["--json", "--stages"], ["--steps", "4", "--seed", "3"], []):
        assert top_k(*flags, PROMPT).out == top_k(*flags, PROMPT).out


def test_stages_have_a_column_each_and_the_last_is_what_is_drawn(top_k):
    """Catches a stage without a column, and a final column that is not the draw."""
    flags = ("--stages", "--temp", "1.5", "--top-k", "6", "--top-p", "0.8", "--min-p", "0.1")
    done = top_k(*flags, "--repeat-penalty", "1.3", "--logit-bias", "5=1", PROMPT)
    rows = table(done.text)
    names = ["repeat-penalty", "logit-bias", "temperature", "top-k", "top-p", "min-p"]
    assert list(rows[0])[6:] == [*names, "drawn", "cut_by"]
    assert [row["min-p"] for row in rows] == [row["drawn"] for row in rows]
    assert {row["cut_by"] for row in rows} & {"top-k", "top-p", "min-p"}
    assert all((row["drawn"] == "0") == bool(row["cut_by"]) for row in rows)


def test_temperatures_stand_beside_each_other(top_k):
    """Catches a temperature that is laid over the sampler's, not over the raw logits."""
    rows = table(top_k("--temperatures", "0,1,2.5", "--temp", "0.3", PROMPT).text)
    assert [row["T=0"] for row in rows] == ["1", *["0"] * 9]
    assert [row["T=1"] for row in rows] == [row["probability"] for row in rows]
    assert float(rows[0]["T=2.5"]) < float(rows[0]["T=1"])


def test_steps_are_what_complete_draws(top_k, tiny_model):
    """Catches a walk that draws from another distribution than complete does."""
    flags = ("--seed", "9", "--temp", "1.7", "--json", "--dtype", "float32", PROMPT)
    whole = run("complete", "-m", str(tiny_model), "-n", "8", "--logprobs", "0", *flags).text
    expected = json.loads(whole)["choices"][0]["logprobs"]["content"]
    found = json.loads(top_k("--steps", "8", *flags).text)
    taken = [step for step in found["steps"] if step["id"] != 0]
    assert [step["id"] for step in taken] == [token["id"] for token in expected]
    assert found["seed"] == 9
    rows = table(top_k("--steps", "8", "-k", "2", *(f for f in flags if f != "--json")).text)
    assert [int(row["id"]) for row in rows] == [step["id"] for step in found["steps"]]
    for row, step in zip(rows, found["steps"], strict=True):
        assert float(row["drawn"]) == pytest.approx(step["drawn"], rel=1e-6)
        assert float(row["entropy"]) == pytest.approx(step["distribution"]["raw"]["entropy"])


def test_greedy_steps_take_the_first_row(top_k):
    """Catches --greedy that draws, and one that --temperature overrules in silence."""
    found = json.loads(top_k("--steps", "5", "--greedy", "--json", PROMPT).text)
    assert [step["rank"] for step in found["steps"]] == [1] * len(found["steps"])
    assert_one_line(top_k("--greedy", "--temp", "1", PROMPT), 2, "--greedy")


def test_a_walk_ends_with_the_text_or_with_the_context(top_k):
    """Catches steps after an end token, and a full context that nobody is told of."""
    ended = json.loads(top_k("--steps", "5", "--logit-bias", "0=1000", "--json", PROMPT).text)
    assert ended["finish_reason"] == "stop"
    assert (len(ended["steps"]), ended["text"]) == (1, "")
    full = top_k("--steps", "99", "--ctx-size", "8", "--logit-bias", "0=-inf", "--json", "a")
    assert len(json.loads(full.text)["steps"]) == 7
    assert "context is full after 7 of 99 steps" in full.err


def test_comparisons_tell_divergences(top_k, tiny_model):
    """Catches columns in another order than the prompts, and a model that differs from itself."""
    flags = ("--compare", "the dog", "--compare-model", str(tiny_model), "--json", PROMPT)
    found = json.loads(top_k(*flags).text)
    assert [each["prompt"] for each in found["distributions"]] == [PROMPT, "the dog", PROMPT]
    other, same = found["divergences"]
    assert other["kl"] > 0 and 0 < other["js"] <= 1
    assert same == {"kl": 0, "kl_reverse": 0, "js": 0}
    rows = table(top_k(*flags[:4], PROMPT).text)
    assert list(rows[0]) == ["token", "id", "probability_A", "probability_B", "probability_C"]
    assert all(row["probability_A"] == row["probability_C"] for row in rows)


def test_other_vocabularies_are_said_to_differ(top_k, tiny_model, tmp_path):
    """Catches a divergence between tokens that only share their ids."""
    for file in tiny_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    path.write_text(json.dumps(content))
    flags = ("--compare-model", str(tmp_path), PROMPT)
    shown = top_k(*flags, terminal=True).text
    assert "not comparable: the vocabularies differ" in shown.replace("\n", " ")
    assert json.loads(top_k("--json", *flags).text)["divergences"] == [None]


def test_each_line_is_a_prompt(top_k, tmp_path):
    """Catches lines that are joined, lost, or answered out of order."""
    file = tmp_path / "prompts.txt"
    file.write_text("the cat\nthe dog\r\nthe  log\n")
    rows = table(top_k("-f", str(file), "--lines", "-k", "2").text)
    assert [row["prompt"] for row in rows] == ["the cat", "the dog", "the  log"]
    assert list(rows[0]) == ["prompt", "token_1", "probability_1", "token_2", "probability_2"]
    lines = top_k("-f", str(file), "--lines", "--json").text.splitlines()
    assert lines[1] + "\n" == top_k("--json", "the dog").text
    objects = b'{"prompt": "the cat"}\n{"x": 1, "prompt": "the\\ndog"}\n'
    shown = top_k("--jsonl", "--json", stdin=objects).text
    found = [json.loads(line) for line in shown.splitlines()]
    assert [each["prompt"] for each in found] == ["the cat", "the\ndog"]


def test_what_stands_before_a_bad_line_is_printed(top_k, tmp_path):
    """Catches a long run that a mistake near its end takes away."""
    file = tmp_path / "p"
    file.write_text('{"prompt": "the cat"}\n\n{"prompt": 3}\n')
    done = top_k("-f", str(file), "--jsonl", "--json")
    assert done.code == 4
    assert done.err.startswith(f"gptcli: error: {file}: line 3: ")
    assert [json.loads(line)["prompt"] for line in done.text.splitlines()] == ["the cat"]


def test_a_bad_line_is_named(top_k, tmp_path):
    """Catches an error that leaves the user to search a file of prompts."""
    file = tmp_path / "p"
    file.write_text("\na\n")
    assert_one_line(top_k("-f", str(file), "--lines"), 4, f"{file}: line 1: is empty")
    file.write_text('\n{"prompt": 3}\n')
    assert_one_line(top_k("-f", str(file), "--jsonl"), 4, 'line 2: has no "prompt"')
    file.write_text("{\n")
    assert_one_line(top_k("-f", str(file), "--jsonl"), 4, "line 1: is not JSON")
    file.write_text('{"prompt": "\\ud800"}\n')
    assert_one_line(top_k("-f", str(file), "--jsonl"), 4, "line 1")
    file.write_text("1 " * 100)
    assert_one_line(top_k("-f", str(file), "--lines"), 5, "line 1: has 200 tokens")


@pytest.mark.parametrize(
    ("flags", "code", "part"),
    [
        (["-k", "0", "a"], 2, "--rows: must be"),
        (["-k", "-3", "a"], 2, "--rows"),
        (["-k", "many", "a"], 2, "--rows"),
        (["-k", "9999", "a"], 2, "--rows: must be at most 287, the number of tokens"),
        (["--steps", "0", "a"], 2, "--steps"),
        (["--temperatures", "1,x", "a"], 2, "--temperatures: must be numbers, not 'x'"),
        (["--temperatures", "", "a"], 2, "--temperatures"),
        (["--temperatures", "-1", "a"], 2, "--temperatures: must be 0 or more"),
        (["--temperatures", "1", "--stages", "a"], 2, "--temperatures"),
        (["--stages", "--steps", "3", "a"], 2, "--stages: cannot be combined with --steps"),
        (["--lines", "--jsonl", "a"], 2, "--jsonl: cannot be combined with --lines"),
        (["--steps", "2", "--compare", "b", "a"], 2, "--compare: cannot be combined"),
        (["--pick", "a"], 2, "--pick: needs a terminal"),
        (["--pick", "--json", "a"], 2, "--pick"),
        (["--compare", "", "a"], 4, "--compare: is empty"),
        (["--compare", "\udcff", "a"], 4, "--compare: is not UTF-8"),
        (["--compare", "1 " * 99, "a"], 5, "--compare: has 198 tokens"),
        (["--compare-model", "nope", "a"], 3, "unknown model"),
        ([""], 4, "prompt: is empty"),
        (["1 " * 99], 5, "more than the context of 64"),
        (["--steps", "1", "--ctx-size", "1", "a"], 5, "fills the context"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else None,
)
def test_bad_command_lines(top_k, flags, code, part):
    """Catches a traceback, a wrong code, or a bad value that is taken as if it were good."""
    assert_one_line(top_k(*flags), code, part)


def test_not_a_number_is_an_error(tiny_model, tmp_path):
    """Catches a table of NaN."""
    from safetensors.torch import load_file, save_file

    for file in tiny_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, tmp_path / "model.safetensors")
    for flags in ([], ["--steps", "2"], ["--compare", "b"], ["--stages"]):
        assert_one_line(run("top-k", "-m", str(tmp_path), *flags, "a"), 8, "NaN")


def test_echo_is_no_model():
    """Catches made-up probabilities."""
    assert_one_line(run("top-k", "-m", "echo", "a"), 2, "echo: cannot tell probabilities")


def test_hints_go_to_stderr(top_k):
    """Catches a hint on stdout, or none for the most common reason of odd probabilities."""
    done = top_k("the ")
    assert "hint: prompt: ends in a space" in done.err
    assert len(table(done.text)) == 10
    assert top_k("-q", "the ").err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
class TestPick:
    """--pick, by hand on a pseudo-terminal."""

    def spawn(self, tiny_model: Path, *flags: str, **env: str) -> pexpect.spawn:
        argv = ["-m", "gptcli", "top-k", "-m", str(tiny_model), "--pick", "-k", "4", PROMPT]
        argv += flags
        return pexpect.spawn(
            sys.executable,
            argv,
            dimensions=(12, 50),
            timeout=30,
            env=os.environ | {"TERM": "xterm"} | env,
        )

    def test_arrows_choose_and_enter_takes(self, tiny_model, top_k):
        """Catches an arrow that leaves, another token than the one that is marked, and a menu that
        stays on the screen.
        """
        found = json.loads(top_k("-k", "4", "--json", PROMPT).text)
        tool = self.spawn(tiny_model, GPTCLI_DTYPE="float32")
        tool.expect("leaves")
        tool.send("\x1b[B\x1b[B\x1b[A")
        for rank in (2, 3, 2):
            tool.expect(rf"❯ (?:\x1b\[[0-9;]*m| )*{rank}\b".encode())
        tool.send("\r")
        tool.expect("leaves")
        tool.send("q")
        rest = tool.read()
        tool.close()
        assert tool.exitstatus == 0
        second = found["top_logprobs"][1]["token"]
        screen = pyte.Screen(50, 12)
        pyte.ByteStream(screen).feed(rest)
        assert f"{PROMPT}{second}" in "\n".join(screen.display)

    def test_a_token_that_is_forbidden_is_named_and_the_menu_stays(self, tiny_model):
        """Catches a person who is thrown out, with an error about something else."""
        pytest.importorskip("llguidance")
        tool = self.spawn(tiny_model, "--regex", "zq")
        tool.expect("leaves")
        tool.send("\r")
        tool.expect("--regex forbids")
        tool.send("q")
        tool.read()
        tool.close()
        assert tool.exitstatus == 0

    def test_ctrl_c_leaves(self, tiny_model):
        """Catches Ctrl-C that is swallowed as a key."""
        tool = self.spawn(tiny_model)
        tool.expect("leaves")
        tool.sendintr()
        assert PROMPT.encode() in tool.read()
        tool.close()
        assert tool.signalstatus == signal.SIGINT

    def test_a_dumb_terminal_is_refused(self, tiny_model):
        """Catches escape sequences where they are not understood."""
        tool = self.spawn(tiny_model, TERM="dumb")
        assert b"--pick: needs a terminal that can move its cursor" in tool.read()
        tool.close()
        assert tool.exitstatus == 2
