"""`complete --fail-below`, on a tiny model of random weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line

FLAGS = ("--temp", "1", "--min-p", "0", "-n", "12", "--seed", "5", "the cat sat")


@pytest.fixture
def complete(tiny_model: Path):
    """`complete` on the tiny model."""
    return lambda *argv, **more: run("complete", "-m", str(tiny_model), *argv, **more)


@pytest.fixture
def tokens(complete) -> list[dict]:
    done = complete("--json", "--logprobs", "0", *FLAGS)
    return json.loads(done.text)["choices"][0]["logprobs"]["content"]


def text_of(tokens: list[dict]) -> str:
    return b"".join(bytes(token["bytes"]) for token in tokens).decode(errors="replace")


def test_it_ends_before_the_improbable_token(complete, tokens):
    """Catches the token in the output, a text that is lost, and another place than the first."""
    chances = [math.exp(token["logprob"]) for token in tokens]
    at = min(range(1, len(chances)), key=chances.__getitem__)
    at = next(i for i, chance in enumerate(chances) if chance <= chances[at])
    threshold = str(chances[at] * 1.001)
    done = complete("--fail-below", threshold, *FLAGS)
    assert done.code == 9
    assert done.text == text_of(tokens[:at])
    assert done.err.count("\n") == 1
    assert done.err.startswith(
        f"gptcli: error: --fail-below {float(threshold):g}: token {at + 1} ("
    )
    assert f"has a probability of {chances[at]:.3g}" in done.err


def test_probable_enough_is_no_change(complete, tokens):
    """Catches a threshold that is met and still fails, and draws that are changed by looking."""
    least = min(math.exp(token["logprob"]) for token in tokens)
    done = complete("--fail-below", str(least * 0.999), *FLAGS)
    assert (done.code, done.text) == (0, text_of(tokens))


def test_it_is_the_raw_probability(complete):
    """Catches a probability after the sampler: a greedy draw would always be certain."""
    assert complete("--temp", "0", "--fail-below", "1", "-n", "3", "the cat").code == 9


def test_json_is_whole_and_tells_why(complete, tokens):
    """Catches an exit code without the object, and an object that does not say what happened."""
    done = complete("--json", "--fail-below", "1", *FLAGS)
    found = json.loads(done.text)
    assert done.code == 9
    choice = found["choices"][0]
    assert (choice["text"], choice["finish_reason"], choice["logprobs"]) == ("", "uncertain", None)
    assert found["usage"]["completion_tokens"] == 0
    (why,) = found["uncertain"]
    assert (why["index"], why["position"], why["id"]) == (0, 1, tokens[0]["id"])
    assert why["probability"] == pytest.approx(math.exp(tokens[0]["logprob"]))
    assert "uncertain" not in json.loads(complete("--json", *FLAGS).text)


def test_other_samples_go_on(complete):
    """Catches one uncertain sample that ends all, or that is forgotten."""
    flags = ("--json", "--logprobs", "0", "--samples", "6", "--fail-below", "0.01", *FLAGS)
    done = complete(*flags)
    choices = json.loads(done.text)["choices"]
    free = json.loads(complete(*flags[:5], *FLAGS).text)["choices"]
    reasons = {choice["finish_reason"] for choice in choices}
    assert "uncertain" in reasons and len(reasons) > 1
    for ours, theirs in zip(choices, free, strict=True):
        chances = [math.exp(token["logprob"]) for token in theirs["logprobs"]["content"]]
        low = next((i for i, chance in enumerate(chances) if chance < 0.01), len(chances))
        ids = [[t["id"] for t in each["logprobs"]["content"]] for each in (ours, theirs)]
        assert ids[0] == ids[1][:low]
        assert (ours["finish_reason"] == "uncertain") == (low < len(chances))
    count = sum(choice["finish_reason"] == "uncertain" for choice in choices)
    assert count > 1 and f"(and {count - 1} more of 6 samples)" in done.err
    assert " of sample " in done.err
    assert done.code == 9


def test_an_improbable_end_counts(complete):
    """Catches an end token that nobody judges."""
    flags = ("--logit-bias", "<|end|>=1000", "--fail-below", "0.9", "the cat")
    assert complete(*flags).code == 9
    assert "(<|end|>)" in complete(*flags).err


def test_healing_is_judged_by_what_fits(complete):
    """Catches a token called improbable because the prompt's own text was, without it."""
    flags = ("--heal", "--json", "--temp", "0", "-n", "1", "the cat s")
    healed = json.loads(complete("--logprobs", "0", *flags).text)["choices"][0]
    first = healed["logprobs"]["content"][0]
    raw = math.exp(first["logprob"])
    share = json.loads(complete("--fail-below", "1", *flags).text)["uncertain"][0]["probability"]
    assert raw < share < 1
    assert complete("--fail-below", str(share * 0.99), *flags).err == ""
    assert complete("--fail-below", str((share + 1) / 2), *flags).code == 9


def test_stats_come_all_the_same(complete):
    """Catches statistics that were asked for and are lost with the error."""
    done = complete("--stats", "--fail-below", "1", *FLAGS)
    assert "peak memory" in done.err and done.code == 9


@pytest.mark.parametrize("value", ["0", "1.5", "-1", "nan", "x"])
def test_bad_values(value):
    """Catches a threshold that nothing, or everything, falls under."""
    done = run("complete", "-m", "echo", "--fail-below", value, "a")
    assert_one_line(done, 2, "--fail-below")
