"""`complete --heal`, on a tiny model of random weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from gptcli.text.tokenizer import Tokenizer
from tests.cli.helpers import run
from tests.opening import load

#: Cut into tokens as "the", " cat", " ", "s", while " sat" is a token as well.
CUT = "the cat s"


@pytest.fixture
def complete(tiny_model: Path):
    """`complete` on the tiny model."""
    return lambda *argv, **more: run("complete", "-m", str(tiny_model), *argv, **more)


def drawn(done) -> list[dict]:
    return json.loads(done.text)["choices"][0]["logprobs"]["content"]


@pytest.mark.parametrize(
    "prompt", [CUT, "the cat ", "the cat sat  ", "the cat é", "the log, th", "1 日", "the ca\n"]
)
def test_what_is_drawn_begins_with_what_was_taken_back(complete, tiny_model, prompt):
    """Catches text that contradicts the prompt, repeats it, or loses a byte of it."""
    tokenizer = Tokenizer(tiny_model)
    for seed in range(2):
        flags = ("--temp", "3", "--min-p", "0", "-n", "6", "--seed", str(seed), "--heal", prompt)
        done = complete("--json", "--logprobs", "0", *flags)
        text = json.loads(done.text)["choices"][0]["text"]
        raw = b"".join(bytes(token["bytes"]) for token in drawn(done))
        assert complete(*flags).text == text
        assert complete("--echo", *flags).text == prompt + text
        whole = prompt.encode()
        kept = next(n for n in range(len(whole) + 1) if raw.startswith(whole[n:]))
        ids = tokenizer.encode(prompt)
        borders = [sum(len(tokenizer.bytes_of(i)) for i in ids[:n]) for n in range(len(ids) + 1)]
        assert any(raw[len(whole) - at :].decode(errors="replace") == text for at in borders[1:])
        assert kept > 0


def test_the_first_token_is_of_the_raw_distribution_renormalised(complete, tiny_model):
    """Catches a filter that stays on what was forbidden, and numbers that are not the model's."""
    tokenizer = Tokenizer(tiny_model)
    runner = load(tiny_model, dtype="float32")
    raw = runner.prefill([tokenizer.encode("the cat")], runner.new_state())[0].log_softmax(-1)
    fits = [
        i
        for i in range(tokenizer.size)
        if not tokenizer.is_special(i)
        and (tokenizer.bytes_of(i).startswith(b" s") or tokenizer.bytes_of(i) == b" ")
    ]
    best = max(fits, key=lambda i: float(raw[i]))
    first = drawn(complete("--heal", "--json", "--logprobs", "2", "--temp", "0", "-n", "1", CUT))[0]
    assert first["id"] == best
    assert first["logprob"] == pytest.approx(float(raw[best]), abs=1e-3)
    assert first["top_logprobs"][0]["logprob"] == pytest.approx(float(raw.max()), abs=1e-3)
    mass = sum(math.exp(float(raw[i])) for i in fits)
    wanted = math.exp(float(raw[best])) / mass
    done = complete(
        "--heal", "--json", "--logprobs", "0", "--temp", "1", "--min-p", "0", "-n", "1",
        "--samples", "300", "--seed", "1", CUT,
    )  # fmt: skip
    firsts = [c["logprobs"]["content"][0]["id"] for c in json.loads(done.text)["choices"]]
    assert set(firsts) <= set(fits)
    assert firsts.count(best) / 300 == pytest.approx(wanted, abs=5 * math.sqrt(0.25 / 300))


def test_several_tokens_spell_what_was_taken_back(complete):
    """Catches a constraint that ends with the first token."""
    bias = ("--logit-bias", " =50", "--logit-bias", "s=50")
    done = complete("--heal", "--json", "--logprobs", "0", "--temp", "0", "-n", "2", *bias, CUT)
    assert [t["token"] for t in drawn(done)][:2] == [" ", "s"]
    # Two more tokens of text, whatever it took to heal.
    assert len(drawn(done)) == 4
    assert json.loads(done.text)["usage"]["completion_tokens"] == 2


def test_nothing_to_heal_is_no_change(complete):
    """Catches a draw more, or another one, where the prompt ends at a token's end."""
    for prompt in ["the cat sat", "the log, then"]:
        flags = ("--seed", "3", "-n", "8", prompt)
        assert complete("--heal", *flags).out == complete(*flags).out
        assert complete("--heal", *flags).err == complete(*flags).err.replace(", and --heal", "")


def test_limits(complete):
    """Catches -n counted in tokens that only heal, a full context overrun, and -n 0 that draws."""
    for count in (0, 1, 5):
        done = complete("--heal", "--json", "-n", str(count), "--samples", "3", CUT)
        assert json.loads(done.text)["usage"]["completion_tokens"] == 3 * count
    long = complete(
        "--heal", "-n", "-1", "--json", "--logit-bias", "<|end|>=-inf", "1 2 " * 13 + "s"
    )
    assert long.code == 0
    assert json.loads(long.text)["usage"]["total_tokens"] <= 64


def test_hints_fit_what_was_done(complete):
    """Catches advice to use what is used, and none where it would help."""
    assert "or with --heal" in complete("-n", "1", "the cat ").err
    assert complete("--heal", "-n", "1", "the cat ").err == ""
    flags = ("-n", "1", "--temp", "0", "--logit-bias", "at=1000", "the c")
    assert "--heal mends it" in complete(*flags).err
    assert complete("--heal", *flags).err == ""


def test_stop_strings_see_only_what_is_new(complete):
    """Catches a stop string that is found in what was taken back."""
    flags = ("--heal", "--temp", "0", "-n", "1", "--logit-bias", " sat=1000")
    assert complete(*flags, "--stop", "s", CUT).text == "at"
    assert complete(*flags, "--stop", "t", CUT).text == "a"
