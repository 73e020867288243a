"""`gptcli score`, on the tiny model."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path

import pytest

from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line

TEXT = "the cat sat on the mat\nand 日"


@pytest.fixture
def score(tiny_model: Path):
    """`score` on the tiny model."""
    return lambda *argv, **more: run("score", "-m", str(tiny_model), *argv, **more)


def test_every_form_says_the_same(score):
    """Catches forms that drift apart: TSV, totals and JSON are of one score."""
    found = json.loads(score("--json", TEXT).text)
    assert found["model"] and found["device"] == "cpu" and found["dtype"] == "float32"
    tokens = found["tokens"]
    assert b"".join(bytes(each["bytes"]) for each in tokens).decode() == TEXT
    head, *rows = (line.split("\t") for line in score(TEXT).text.splitlines())
    assert head[:6] == ["position", "token", "id", "bits", "logprob", "rank"]
    assert [int(row[2]) for row in rows] == [each["id"] for each in tokens]
    assert rows[0][3:] == ["", "", "", "", ""]
    for row, each in zip(rows[1:], tokens[1:], strict=True):
        assert float(row[4]) == pytest.approx(each["logprob"], abs=1e-6)
        assert float(row[3]) == pytest.approx(-each["logprob"] / math.log(2), abs=2e-6)
        assert int(row[5]) == each["rank"]
        (best,) = each["top_logprobs"]
        assert float(row[7]) == pytest.approx(math.exp(best["logprob"]), abs=1e-6)
        assert (each["rank"] == 1) == (best["id"] == each["id"])
    totals = dict(line.split("\t") for line in score("--totals", TEXT).text.splitlines())
    assert totals["tokens_scored"] == str(len(tokens) - 1)
    assert totals["tokens_not_scored"] == "1"
    for name, value in found["totals"].items():
        assert float(totals[name]) == pytest.approx(value, abs=1e-6)
    mean = sum(each["logprob"] for each in tokens[1:]) / (len(tokens) - 1)
    assert float(totals["perplexity"]) == pytest.approx(math.exp(-mean), rel=1e-6)
    short = json.loads(score("--json", "--totals", TEXT).text)
    assert short == {key: value for key, value in found.items() if key != "tokens"}


def test_output_is_the_same_each_time(score):
    """Catches a time or a random number in the answer."""
    assert score("--json", TEXT).out == score("--json", TEXT).out


def test_a_terminal_shows_the_text_and_what_was_not_scored(score, monkeypatch):
    """Catches a table where text was wanted, and a first token that is left out in silence."""
    monkeypatch.setenv("TERM", "xterm-256color")
    done = score("the cat \x1b[5m", terminal=True)
    assert "the cat \\x1b[5m" in re.sub(r"\x1b\[[0-9;]*m", "", done.text)
    assert "\x1b[5m" not in done.text
    assert "1 token not scored" in done.text
    assert "perplexity" in done.text
    assert "position" not in done.text
    assert "rank" in score("--table", "the cat", terminal=True).text
    assert "rank" in score("--no-color", "the cat", terminal=True).text


def test_a_context(score):
    """Catches --context that is scored or ignored."""
    found = json.loads(score("--json", "--context", "the cat ", "sat").text)
    assert b"".join(bytes(each["bytes"]) for each in found["tokens"]) == b" sat"
    assert found["context_tokens"] > 0
    assert found["totals"]["tokens_not_scored"] == 0


def test_windows_are_told(score):
    """Catches a text beyond the context that is refused, cut off, or scored as if it fitted."""
    flags = ("--ctx-size", "8", "--stride", "3", TEXT)
    found = json.loads(score("--json", *flags).text)
    assert found["windows"]["windows"] > 2
    assert (found["windows"]["context_size"], found["windows"]["stride"]) == (8, 3)
    assert found["totals"]["tokens_scored"] == len(found["tokens"]) - 1
    assert "windows of 8 tokens, each beginning 3 tokens after" in " ".join(
        score(*flags, terminal=True).text.split()
    )


def test_a_difference(score, tmp_path):
    """Catches two texts that are mixed up, and forms that drift apart."""
    flags = ("the cat sat", "--diff", "the dog sat on")
    found = json.loads(score("--json", *flags).text)
    texts = [
        b"".join(bytes(each["bytes"]) for each in found[name]["tokens"]).decode() for name in "ab"
    ]
    assert texts == ["the cat sat", "the dog sat on"]
    for name in "ab":
        places = [pair[name] for pair in found["pairs"] if pair[name] is not None]
        assert places == list(range(len(found[name]["tokens"])))
    head, *rows = (line.split("\t") for line in score(*flags).text.splitlines())
    assert head[0] == "change"
    assert [row[0] for row in rows] == [pair["change"] for pair in found["pairs"]]
    file = tmp_path / "b.txt"
    file.write_text("the dog sat on\n")
    assert (
        score("--json", "the cat sat", "--diff-file", str(file)).text
        == score("--json", *flags).text
    )
    shown = score(*flags, terminal=True).text
    assert "perplexity" in shown
    assert "added" not in shown


def test_json_lines(score, tmp_path):
    """Catches a line that is lost, scored with another's context, or numbered from 0."""
    lines = '{"text": "the cat", "other": 1}\n\n{"text": " sat", "context": "the cat"}'
    done = score("--jsonl", stdin=lines.encode())
    first, second = map(json.loads, done.text.splitlines())
    assert (first["line"], second["line"]) == (1, 3)
    alone = json.loads(score("--json", "--context", "the cat", " sat").text)
    assert second == {"line": 3} | alone
    file = tmp_path / "lines.jsonl"
    file.write_text(lines)
    assert score("--jsonl", "-f", str(file)).out == done.out
    assert "tokens" not in json.loads(
        score("--jsonl", "--totals", "-f", str(file)).text.split("\n")[0]
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"nope", "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b"{}", '"text": is missing'),
        (b'{"text": 1}', '"text": must be a text'),
        (b'{"text": "a b", "context": 1}', '"context": must be a text'),
        (b'{"text": ""}', "is empty"),
        (b'{"text": "t"}', "one token with nothing before it"),
        (b'{"text": "\\ud800"}', "surrogate"),
        (b'{"text": "\xff"}', "is not UTF-8 at byte 11"),
        (b"[" * 100_000, "is JSON that is nested too deeply"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_bad_line_is_named_and_what_was_printed_stays(score, line, reason):
    """Catches an error without its line, and answers that are lost with it."""
    good = b'{"text": "the cat"}\n'
    done = score("--jsonl", stdin=good + line + b"\n" + good)
    assert done.code == 4
    assert done.err.startswith("gptcli: error: stdin: line 2")
    assert reason in done.err
    assert done.err.count("\n") == 1
    assert json.loads(done.text)["line"] == 1


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("",), 4, "text: is empty"),
        (("t",), 4, "one token with nothing before it"),
        (("the cat", "--diff", ""), 4, "--diff: is empty"),
        (("the cat", "--diff", "t"), 4, "--diff: is one token"),
        (("the cat", "--diff-file", "/no/such"), 4, "/no/such: No such file"),
        (("the cat", "--diff-file", "-"), 2, "--diff-file"),
        (("the cat", "--diff", "a", "--diff-file", "b"), 2, "--diff-file"),
        (("the cat", "--stride", "0"), 2, "--stride: must be"),
        (("the cat", "--stride", "64"), 2, "--stride: must be from 1 to 63"),
        (("the cat", "--ctx-size", "1"), 2, "--ctx-size"),
        (("the cat", "--context", "\udcff"), 4, "--context: is not UTF-8"),
        (("the cat", "--jsonl"), 2, "--jsonl"),
        (("--jsonl", "--diff", "a"), 2, "--jsonl"),
        (("--jsonl", "--context", "a"), 2, "--context"),
        (("--jsonl", "--table"), 2, "--table"),
        (("--jsonl", "-p", "a"), 2, "--prompt"),
        (("--jsonl", "-f", "/no/such"), 4, "/no/such: No such file"),
        (("the cat", "--json", "--table"), 2, "--table"),
        (("the cat", "--totals", "--table"), 2, "--table"),
        (("the cat", "--totals", "--diff", "a b"), 2, "--totals"),
        (("-m", "echo", "a b"), 2, "echo: cannot score a text"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_bad_command_lines(score, argv, code, part):
    """Catches a traceback, a wrong code, or a bad value that is taken as if it were good."""
    assert_one_line(score(*argv), code, part)


def test_no_text_at_all(score):
    """Catches waiting for ever on a terminal."""
    assert_one_line(score(stdin=None), 2, "text: is missing", "gptcli score")
    assert_one_line(score("--jsonl", stdin=None), 2, "--jsonl")
    assert score("--jsonl", stdin=b"").out == b""


def test_weights_that_are_not_finite(tiny_model, tmp_path):
    """Catches a perplexity of NaN."""
    from safetensors.torch import load_file, save_file

    directory = tmp_path / "broken"
    shutil.copytree(tiny_model, directory)
    tensors = load_file(directory / "model.safetensors")
    tensors["model.norm.weight"][3] = float("nan")
    save_file(tensors, directory / "model.safetensors")
    assert_one_line(run("score", "-m", str(directory), "the cat"), 8, "NaN")


def test_a_context_that_joins_the_text_is_told(score):
    """Catches context being scored in silence, where it ends within a token of the text."""
    apart = score("--context", "the cat", " sat on")
    assert apart.err == ""
    joined = score("--context", "the ca", "t sat on")
    assert "hint: --context: joins the text within a token; its last" in joined.err


def test_repetitive_texts_are_lined_up_in_time(tmp_path):
    """Catches difflib's worst case, which takes minutes on a few thousand tokens of few kinds."""
    from gptcli.evaluation.difference import difference
    from gptcli.types.score import Score, TokenScore
    from gptcli.types.token import Source, Token

    def scored(ids: list[int]) -> Score:
        tokens = tuple(TokenScore(Token(i, bytes([65 + i]))) for i in ids)
        return Score(
            source=Source("m", "cpu", "float32"),
            tokens=tokens,
            context_tokens=0,
            windows=1,
            context_size=8192,
            stride=4096,
        )

    a, b = [1, 2, 3] * 1500, [2, 1, 3, 3] * 1200
    pairs = difference(scored(a), scored(b)).pairs
    assert [p.a.token.id for p in pairs if p.a] == a
    assert [p.b.token.id for p in pairs if p.b] == b
