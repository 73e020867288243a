"""Every command against what real servers said when they were recorded (see `recording`)."""

from __future__ import annotations

import functools
import json
import math
from contextlib import ExitStack

import pytest

from tests.backends.remote.recording import CASES, ran, replaying
from tests.backends.remote.serving import serving

SERVERS = ("vllm", "llama-server")


@pytest.fixture(scope="module")
def again():
    """What a case prints now, and printed then, by server and case."""
    with ExitStack() as stack:

        @functools.cache
        def server(name):
            answer, printed = replaying(name)
            return stack.enter_context(serving(answer)), printed

        @functools.cache
        def both(name, case):
            served, printed = server(name)
            return ran(case, served), printed[case]

        yield both


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("server", SERVERS)
def test_recorded_exchanges(again, server, case):
    """Catches a question that is asked in another way, and an answer that is read in another."""
    now, then = again(server, case)
    assert now == then


def said(again, server, case):
    return json.loads(again(server, case)[0]["out"])


def test_two_servers_and_one_model(again):
    """Catches numbers that are not those of the model: two programs computed them."""
    for case in ("complete", "complete-stop", "complete-bias", "chat", "few-shot", "few-shot-chat"):
        assert again("vllm", case)[0] == again("llama-server", case)[0]
    for case in ("top-k", "tree", "complete-json", "chat-json"):
        one, other = (list(logprobs(said(again, name, case))) for name in SERVERS)
        assert [token for token, _ in one] == [token for token, _ in other]
        for (_, ours), (_, theirs) in zip(one, other, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-3)


def logprobs(found):
    """Every token with a log-probability, wherever it stands."""
    if isinstance(found, dict):
        if isinstance(found.get("logprob"), float):
            yield bytes(found["bytes"]), found["logprob"]
        for each in found.values():
            yield from logprobs(each)
    elif isinstance(found, list):
        for each in found:
            yield from logprobs(each)


def test_scores_are_those_of_the_next_token(again):
    """Catches log-probabilities of a prompt that stand one token off."""
    score = said(again, "vllm", "score")["tokens"]
    paris = next(each for each in score if each["token"] == " Paris")
    first = said(again, "vllm", "top-k")["top_logprobs"][0]
    assert (paris["id"], paris["rank"]) == (first["id"], 1)
    assert paris["logprob"] == pytest.approx(first["logprob"], abs=1e-4)
    assert score[0]["logprob"] is None
    assert b"".join(bytes(each["bytes"]) for each in score).decode() == (
        "The capital of France is Paris 日本."
    )


def test_choices_are_scored_as_texts_are(again):
    """Catches a border between prompt and choice that is not where the local one is."""
    found = said(again, "vllm", "choose")
    assert found["winner"] == " Paris"
    assert found["prompt_tokens"] == 5
    assert math.fsum(each["probability"] for each in found["choices"]) == pytest.approx(1)
    (token,) = found["choices"][0]["tokens"]
    assert token["logprob"] == found["choices"][0]["logprob"]


def test_what_a_server_does_not_tell_is_null(again):
    """Catches numbers that nobody computed."""
    found = said(again, "llama-server", "top-k")
    first = found["top_logprobs"][0]
    assert (first["logit"], first["drawn"], found["raw"], found["vocabulary"]) == (None,) * 4
    assert (found["device"], found["dtype"]) == ("remote", None)
    assert found["server"] == "llama-server at URL"


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("complete", "--heal", "hi"), "--heal: "),
        (("complete", "--html", "/dev/null", "--color-by", "rank", "hi"), "--color-by: "),
        (("complete", "--fail-below", "0.1", "hi"), "--fail-below: "),
        (("complete", "-n", "-1", "hi"), "--max-new-tokens: "),
        (("complete", "--json", "--logprobs", "21", "hi"), "at most, not of 21"),
        (("chat", "--chat-template", "x", "hi"), "--chat-template: "),
        (("chat", "--user-name", "x", "hi"), "--transcript, --user-name"),
        (("chat", "--on-overflow", "drop-oldest", "hi"), "--on-overflow drop-oldest: "),
        (("top-k", "--temp", "0.5", "hi"), "--temperature: "),
        (("top-k", "--stages", "hi"), "--stages: "),
        (("top-k", "--by-drawn", "hi"), "--by-drawn: "),
        (("top-k", "--temperatures", "1,2", "hi"), "--temperatures: "),
        (("top-k", "--compare", "ho", "hi"), "--compare"),
        (("top-k", "--steps", "2", "hi"), "takes the model itself"),
        (("score", "--stride", "2", "hi ho"), "--stride: "),
        (("score", "--compare-dtype", "int8", "-f", __file__), "--compare-dtype: rounds weights"),
        (("tree", "--width", "50", "hi"), "at most, not of 50"),
        (("few-shot", "--preset", "sentiment", "--as-chat", "hi"), "in a chat"),
        (("few-shot", "--preset", "translate", "--show-prompt", "hi"), "cannot make a document"),
        (("chat", "--show-prompt", "hi"), "cannot show the document of a conversation"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, tuple) else "",
)
def test_what_vllm_lacks(argv, reason):
    """Catches a flag that a server would ignore, and one that is refused after it was paid for."""
    command, *rest = argv
    answer, _ = replaying("vllm")
    with serving(answer) as served:
        from tests.cli.helpers import run

        done = run(command, "--base-url", served.url, "-m", "smollm2-f32", *rest)
    assert done.code == 2, done.err
    assert reason in done.err, done.err
    assert done.text == ""
    assert not served.posted()
