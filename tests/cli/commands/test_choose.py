"""`gptcli choose`, on a tiny model of random weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyte
import pytest

from gptcli.text.tokenizer import Tokenizer
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.opening import load

PROMPT = "the cat sat"
CHOICES = (" on", " on the mat", " and then", "x")
FLAGS = tuple(part for text in CHOICES for part in ("--choice", text))


@pytest.fixture
def choose(tiny_model: Path):
    """`choose` on the tiny model."""
    return lambda *argv, **more: run("choose", "-m", str(tiny_model), *argv, **more)


def logprob(directory: Path, prompt: str, text: str) -> float:
    """By one forward over the whole text, its tokens cut at the prompt's own."""
    runner, tokenizer = load(directory, dtype="float32"), Tokenizer(directory)
    ids, start = tokenizer.encode(prompt + text), len(tokenizer.encode(prompt))
    assert ids[:start] == tokenizer.encode(prompt)
    whole = runner.all_logits(ids, runner.new_state()).log_softmax(dim=-1)
    return sum(float(whole[i - 1, ids[i]]) for i in range(start, len(ids)))


def test_values_are_those_of_each_choice_alone(choose, tiny_model):
    """Catches a log-probability of the wrong place, and shares that are not of these choices."""
    found = json.loads(choose("--json", *FLAGS, PROMPT).text)
    totals = {text: logprob(tiny_model, PROMPT, text) for text in CHOICES}
    mass = sum(map(math.exp, totals.values()))
    assert found["winner"] == found["choices"][0]["text"] == max(totals, key=totals.__getitem__)
    assert [CHOICES[c["index"]] for c in found["choices"]] == [c["text"] for c in found["choices"]]
    for each in found["choices"]:
        total = totals[each["text"]]
        assert each["logprob"] == pytest.approx(total, abs=1e-3)
        assert each["probability"] == pytest.approx(math.exp(total) / mass, abs=1e-4)
        tokens = each["tokens"]
        assert sum(t["logprob"] for t in tokens) == pytest.approx(each["logprob"])
        assert b"".join(bytes(t["bytes"]) for t in tokens).decode() == each["text"]
        assert each["logprob_per_token"] == pytest.approx(each["logprob"] / len(tokens))
        assert each["logprob_per_byte"] == pytest.approx(each["logprob"] / len(each["text"]))
        assert each["calibrated"] is None
    assert (found["model"], found["device"]) == (str(tiny_model), "cpu")
    assert found["dtype"] == "float32"


@pytest.mark.parametrize("by", ["total", "token", "byte"])
def test_by_ranks(choose, by):
    """Catches a ranking by another value than the one asked for."""
    found = json.loads(choose("--json", "--by", by, *FLAGS, PROMPT).text)["choices"]
    name = {"total": "logprob", "token": "logprob_per_token", "byte": "logprob_per_byte"}[by]
    values = [each[name] for each in found]
    assert values == sorted(values, reverse=True)


def test_the_ways_of_ranking_differ():
    """Catches the test above holding for choices that every way ranks alike."""
    from gptcli.types.choose import Choice, ScoredToken
    from gptcli.types.token import Token

    token = [ScoredToken(Token(1, b"abcdef"), -1.0), ScoredToken(Token(2, b"a"), -2.0)]
    one, two = Choice(0, "", (token[0],), -3.0, 0.5), Choice(1, "", tuple(token), -5.0, 0.5)
    assert one.score("total") > two.score("total")
    assert one.score("token") < two.score("token")
    assert (one.per("byte"), two.per("byte")) == (-3 / 6, -5 / 7)


def test_a_space_at_the_end_goes_over_to_the_choices(choose):
    """Catches a lone space scored as a token of the prompt."""
    spaced = choose("--json", PROMPT + " ", "--choice", "on", "--choice", "and then")
    plain = choose("--json", PROMPT, "--choice", " on", "--choice", " and then")
    pick = lambda done: [c["tokens"] for c in json.loads(done.text)["choices"]]  # noqa: E731
    assert pick(spaced) == pick(plain)


def test_a_border_within_a_token(choose, tiny_model):
    """Catches choices compared from different places, or a token that is scored for none."""
    done = choose("--json", "the cat s", "--choice", "at", "--choice", "ix")
    found = {c["text"]: c for c in json.loads(done.text)["choices"]}
    runner, tokenizer = load(tiny_model, dtype="float32"), Tokenizer(tiny_model)
    start = len(tokenizer.encode("the cat"))
    for text in ("at", "ix"):
        ids = tokenizer.encode("the cat s" + text)
        whole = runner.all_logits(ids, runner.new_state()).log_softmax(dim=-1)
        total = sum(float(whole[i - 1, ids[i]]) for i in range(start, len(ids)))
        assert found[text]["logprob"] == pytest.approx(total, abs=1e-3)
    # One token in the place of two: a border counted in tokens would leave nothing to score.
    assert len(tokenizer.encode("the cat sat")) < len(tokenizer.encode("the cat s"))
    assert "joins the choices within a token; its last 2 bytes" in done.err


def test_calibration(choose, tiny_model):
    """Catches a difference taken the wrong way round, or of the choices without their space."""
    done = choose("--json", "--calibrate", "log ", "the cat ", "--choice", "on", "--choice", "and")
    found = json.loads(done.text)["choices"]
    gains = {}
    for each in found:
        text = " " + each["text"]
        gains[each["text"]] = logprob(tiny_model, "the cat", text) - logprob(
            tiny_model, "log", text
        )
        assert each["calibrated"]["logprob"] == pytest.approx(gains[each["text"]], abs=2e-3)
    mass = sum(map(math.exp, gains.values()))
    for each in found:
        share = math.exp(gains[each["text"]]) / mass
        assert each["calibrated"]["probability"] == pytest.approx(share, abs=2e-3)
    assert found[0]["text"] == max(gains, key=gains.__getitem__)


def test_the_winner_alone(choose):
    """Catches anything else on stdout or stderr that a script would have to cut off."""
    best = json.loads(choose("--json", *FLAGS, PROMPT).text)["winner"]
    done = choose("--winner", "-q", *FLAGS, PROMPT)
    assert (done.text, done.err) == (best + "\n", "")
    assert choose(
        "--winner", "a", "--choice", "\x1b[1m", "--choice", "\x1b[1mx", terminal=True
    ).text in (
        "\\x1b[1m\n",
        "\\x1b[1mx\n",
    )


def test_quiet_still_prints_the_winner_and_says_how_to_ask_for_it(choose):
    """Catches scripts that broke, and a --quiet that means something else here without a word."""
    best = choose("--winner", "-q", *FLAGS, PROMPT).text
    done = choose("-q", *FLAGS, PROMPT)
    note = "gptcli: hint: --quiet: prints the best choice alone, as --winner does\n"
    assert (done.code, done.text, done.err) == (0, best, note)
    both = choose("-q", "--winner", *FLAGS, PROMPT)
    assert (both.text, both.err) == (best, "")


def test_rows_for_programs(choose, tmp_path):
    """Catches rounded numbers, a missing head, and a file's choices that are lost."""
    file = tmp_path / "choices"
    file.write_bytes(b" on\r\n and\n")
    lines = choose("--choices-file", str(file), "--choice", " mat", PROMPT).text.splitlines()
    heads = ["choice", "share", "logprob", "per token", "per byte", "tokens", "index"]
    assert lines[0].split("\t") == heads
    rows = [line.split("\t") for line in lines[1:]]
    assert sorted((row[0], row[-1]) for row in rows) == [(" and", "2"), (" mat", "0"), (" on", "1")]
    assert sum(float(row[1]) for row in rows) == pytest.approx(1, abs=1e-5)
    assert choose("--choices-file", "-", "-p", PROMPT, stdin=b" on\n and").code == 0


@pytest.mark.parametrize("width", [20, 33, 60, 200])
def test_rows_fit_the_terminal(choose, width, monkeypatch):
    """Catches a row that breaks, and a winner that is not the first row."""
    monkeypatch.setenv("COLUMNS", str(width))
    flags = (
        "--choice",
        " on the mat and the dog sat",
        "--choice",
        "\n\t\u202e",
        "--calibrate",
        "a",
    )
    done = choose(*flags, PROMPT, terminal=True)
    screen = pyte.Screen(width, 24)
    rows, below = done.text.split("\n\n")
    assert "float32" in below
    pyte.Stream(screen).feed(rows.replace("\n", "\r\n"))
    shown = [line.rstrip() for line in screen.display if line.strip()]
    assert len(shown) == 3
    assert "share" in shown[0]
    assert "%" in shown[1] and "%" in shown[2]


A = ("--choice", "a")
AB = (*A, "--choice", "b")


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        ((PROMPT,), 2, "--choice: at least two choices are needed, not 0"),
        ((*A, PROMPT), 2, "not 1"),
        ((*A, *A, PROMPT), 2, "'a' is given twice"),
        ((*A, "--choice", "", PROMPT), 2, "--choice: must not be empty"),
        ((*AB, "--calibrate", " ", PROMPT), 2, "--calibrate: must not be empty"),
        ((*AB, "--by", "word", PROMPT), 2, "--by: must be one of total, token, byte"),
        ((*AB, ""), 4, "prompt: is empty"),
        ((*AB, " "), 4, "prompt: is empty"),
        ((*AB, "\n "), 4, "no whole token"),
        ((*AB, "--choices-file", "/no/such", PROMPT), 4, "/no/such: No such file"),
        ((*A, "--choice", "\udcff", PROMPT), 4, "--choice: is not UTF-8"),
        ((*A, "--choice", "1 " * 40, PROMPT), 5, "more than the context of 64"),
        ((*AB, "1 " * 40), 5, "more than the context of 64"),
    ],
)
def test_bad_input(choose, argv, code, part):
    """Catches a choice that cannot win, and numbers for what was never asked."""
    done = choose(*argv, stdin=None)
    if part == "prompt: is empty" and argv[-1] == " ":
        part = "no whole token"
    assert_one_line(done, code, part)


def test_bad_files(choose, tmp_path):
    """Catches an empty or repeated line that is dropped in silence."""
    for data, part in [(b"a\n\nb", "line 2 is empty"), (b"a\nb\na", "line 3: 'a' is given twice")]:
        file = tmp_path / "choices"
        file.write_bytes(data)
        assert_one_line(choose("--choices-file", str(file), PROMPT), 4, part)
    assert_one_line(choose("--choices-file", str(file), "--choice", "b", PROMPT), 4, "line 2")


def test_echo_is_no_model():
    """Catches numbers made up by the fake."""
    assert_one_line(run("choose", "-m", "echo", *AB, PROMPT), 2, "echo: cannot")
