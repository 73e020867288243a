"""/v1/completions: the same texts and numbers as the command line's, in OpenAI's shape."""

from __future__ import annotations

import pytest

from gptcli.backends.local import LocalBackend
from gptcli.server.legacy_logprobs import LegacyLogprobs
from gptcli.server.replies import CompletionReply
from gptcli.server.sending import Sending
from gptcli.server.tally import Tally
from gptcli.types.completion import Chunk, Request, TokenInfo
from gptcli.types.sampling import SamplingWish
from gptcli.types.score import ScoreRequest
from tests.server.clients import COMPLETIONS, post, refused, streamed

PROMPT = "the cat sat on"


def alone(backend: LocalBackend, prompt: str = PROMPT, **more) -> list[str]:
    """What the backend itself answers, sample by sample."""
    texts: dict[int, str] = {}
    for event in backend.answer(Request(prompt, **more)):
        if isinstance(event, Chunk):
            texts[event.index] = texts.get(event.index, "") + event.text
    return [texts[index] for index in sorted(texts)]


def test_the_text_is_the_one_of_the_command_line(tiny, backend):
    """Catches a field that does not reach the sampler, or reaches it under another name."""
    wish = SamplingWish(
        temperature=0.9,
        top_k=20,
        top_p=0.9,
        min_p=0.01,
        repeat_penalty=1.2,
        presence_penalty=0.5,
        frequency_penalty=0.3,
        logit_bias=(("100", 5.0),),
        seed=7,
    )
    fields = {
        "temperature": 0.9,
        "top_k": 20,
        "top_p": 0.9,
        "min_p": 0.01,
        "repeat_penalty": 1.2,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.3,
        "logit_bias": {"100": 5},
    }
    told = post(tiny, COMPLETIONS, prompt=PROMPT, max_tokens=20, seed=7, n=3, **fields)
    texts = [choice["text"] for choice in told["choices"]]
    want = alone(backend, sampling=wish, max_new_tokens=20, seed=7, samples=3)
    assert texts == want
    assert len(set(texts)) == 3
    for name, other in (*fields.items(), ("seed", 7)):
        neutral = {"logit_bias": {}, "seed": 8, "temperature": 0.5, "top_k": 2, "top_p": 0.2}
        neutral |= {"min_p": 0.9, "repeat_penalty": 9, "presence_penalty": 9}
        neutral |= {"frequency_penalty": 9}
        changed = fields | {"seed": 7, "n": 3, name: neutral[name]}
        again = post(tiny, COMPLETIONS, prompt=PROMPT, max_tokens=20, **changed)
        assert [choice["text"] for choice in again["choices"]] != texts, (name, other)


def test_shape_and_usage(tiny):
    """Catches a field that clients read and this answer has not."""
    told = post(tiny, COMPLETIONS, model="tiny", prompt=PROMPT, max_tokens=3, temperature=0)
    assert told["object"] == "text_completion"
    assert told["model"] == "tiny"
    assert told["id"].startswith("cmpl-")
    (choice,) = told["choices"]
    assert (choice["index"], choice["finish_reason"]) == (0, "length")
    assert choice["logprobs"] is None
    usage = told["usage"]
    assert usage["completion_tokens"] == 3
    assert usage["total_tokens"] == usage["prompt_tokens"] + 3
    default = post(tiny, COMPLETIONS, prompt=PROMPT, temperature=0, logit_bias={"0": -100})
    assert default["usage"]["completion_tokens"] == 16


def test_a_stream_is_the_whole_in_pieces(tiny):
    """Catches text that a stream loses or tells twice, and choices that are mixed up."""
    body = {"prompt": [PROMPT, "and the dog"], "max_tokens": 8, "seed": 3, "n": 2, "logprobs": 2}
    whole = post(tiny, COMPLETIONS, **body)
    events = streamed(tiny, COMPLETIONS, **body, stream_options={"include_usage": True})
    *pieces, last = events
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]
    assert all(piece["usage"] is None for piece in pieces)
    for choice in whole["choices"]:
        own = [each for piece in pieces for each in piece["choices"]]
        own = [each for each in own if each["index"] == choice["index"]]
        assert "".join(each["text"] for each in own) == choice["text"]
        assert own[-1]["finish_reason"] == choice["finish_reason"]
        assert not any(each["finish_reason"] for each in own[:-1])
        for name, values in choice["logprobs"].items():
            assert [value for each in own for value in each["logprobs"][name]] == values
    assert len({event["id"] for event in events}) == 1


def test_tokens_that_come_faster_than_they_go_are_one_event():
    """Catches an event for each token of many clients, and one that loses what it gathers."""
    sending = Sending(seed=1, stream=True, include_usage=False)
    reply = CompletionReply(
        "tiny", sending, Tally(), questions=1, samples=2, echo=["p "], logprobs=True, by_id=False
    )
    infos = [TokenInfo(text, number, -1.0, text.encode()) for number, text in enumerate("abc")]
    for index in (1, 0, 1, 1):
        reply.take(0, Chunk("abc"[index], index, (infos[index],)))
    reply.take(0, Chunk("c", 1, (infos[2],), finish_reason="stop"))
    told = [event["choices"] for event in reply.events()]
    assert [[(each["index"], each["text"]) for each in choices] for choices in told] == [
        [(1, "p bbbc")],
        [(0, "p a")],
    ]
    (one,), (other,) = told
    assert one["logprobs"]["tokens"] == ["b", "b", "b", "c"]
    assert (one["finish_reason"], other["finish_reason"]) == ("stop", None)
    assert reply.events() == []


def test_stop_ends_before_the_text(echo):
    """Catches a stop string that is told, or does not stop."""
    told = post(echo, COMPLETIONS, prompt="one two three", max_tokens=50, stop=[" three", "x"])
    assert told["choices"][0]["text"] == " one two"
    assert told["choices"][0]["finish_reason"] == "stop"


def test_prompts_come_one_by_one_in_order(echo):
    """Catches answers to several prompts in another order, and indices that repeat."""
    told = post(echo, COMPLETIONS, prompt=["a", "b", "c"], max_tokens=1, n=2)
    texts = [(choice["index"], choice["text"]) for choice in told["choices"]]
    assert texts == list(enumerate([" a", " a", " b", " b", " c", " c"]))


def test_echo_tells_the_prompt_first(echo):
    """Catches an echo that is lost without new tokens, in a stream, or in one of two samples."""
    told = post(echo, COMPLETIONS, prompt="a b", echo=True, max_tokens=0, n=2)
    assert [choice["text"] for choice in told["choices"]] == ["a b", "a b"]
    events = streamed(echo, COMPLETIONS, prompt="a b", echo=True, max_tokens=2)
    assert "".join(event["choices"][0]["text"] for event in events) == "a b a b"


def test_echo_with_logprobs_lists_the_prompt_before_the_text(echo):
    """Catches lists without the prompt, and a first token that pretends to a probability."""
    body = {"prompt": "a b", "echo": True, "logprobs": 0, "max_tokens": 1}
    told = post(echo, COMPLETIONS, **body)["choices"][0]["logprobs"]
    assert told["tokens"] == [" a", " b", " a"]
    assert told["token_logprobs"] == [None, 0.0, 0.0]
    assert told["top_logprobs"] == [None, {" b": 0.0}, {" a": 0.0}]
    assert told["text_offset"] == [0, 2, 4]
    events = streamed(echo, COMPLETIONS, **body)
    tokens = [event["choices"][0]["logprobs"]["tokens"] for event in events]
    assert [each for some in tokens for each in some] == told["tokens"]


@pytest.mark.parametrize("new", [0, 1])
def test_the_prompts_numbers_are_those_of_score(tiny, backend, new):
    """Catches log-probabilities that stand at the wrong token, and ids read as another text."""
    text = "the cat sat on the mat and the dog"
    score = backend.answer(ScoreRequest(text))
    ids = [each.token.id for each in score.tokens]
    for prompt in (text, ids):
        told = post(
            tiny, COMPLETIONS, prompt=prompt, echo=True, logprobs=1, max_tokens=new, temperature=0
        )
        (choice,) = told["choices"]
        logprobs = choice["logprobs"]
        assert choice["text"].startswith(text)
        assert len(logprobs["tokens"]) == len(ids) + new
        assert logprobs["token_logprobs"][0] is None
        for each, own, top in zip(
            score.tokens[1:],
            logprobs["token_logprobs"][1:],
            logprobs["top_logprobs"][1:],
            strict=False,
        ):
            assert own == pytest.approx(each.logprob, abs=1e-4)
            assert (own == max(top.values())) == (each.rank == 1)


def test_tokens_can_be_named_by_their_ids(tiny):
    """Catches two tokens of one text, such as parts of characters, of which one is lost."""
    ids = post(tiny, "/tokenize", content="the cat sat")["tokens"]
    body = {"prompt": ids, "echo": True, "logprobs": 5, "max_tokens": 0}
    told = post(tiny, COMPLETIONS, **body, return_tokens_as_token_ids=True)
    logprobs = told["choices"][0]["logprobs"]
    assert logprobs["tokens"] == [f"token_id:{each}" for each in ids]
    assert all(5 <= len(top) <= 6 for top in logprobs["top_logprobs"][1:])


def test_what_is_impossible_is_the_number_that_others_write(tiny):
    """Catches JSON without a number where clients compute with one."""
    told = LegacyLogprobs()
    told.add([TokenInfo("a", 5, float("-inf"), b"a")])
    assert told.taken()["token_logprobs"] == [-9999.0]


def test_an_end_token_has_its_place_in_the_lists(tiny):
    """Catches lists that are an entry short, of which lm_eval then reads the wrong ones."""
    body = {"echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0}
    ids = post(tiny, "/tokenize", content="the cat sat")["tokens"]
    told = post(tiny, COMPLETIONS, prompt=ids, logit_bias={"0": 100}, **body)
    (choice,) = told["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("the cat sat", "stop")
    assert len(choice["logprobs"]["tokens"]) == len(ids) + 1
    assert choice["logprobs"]["tokens"][-1] == "<|end|>"
    assert choice["logprobs"]["token_logprobs"][-1] < 0
    assert told["usage"]["completion_tokens"] == 0


def test_a_field_that_nobody_knows_is_told_with_the_nearest(echo):
    """Catches a slip that a program cannot tell from a value that cannot be."""
    error = refused(echo, COMPLETIONS, prompt="a", temprature=1)
    said = "temprature: is not known here (did you mean temperature?)"
    assert (error["message"], error["param"]) == (said, "temprature")
    assert error["code"] == "unsupported_parameter"
    assert refused(echo, COMPLETIONS, prompt="a", n=0)["code"] is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [-1]}, "prompt"),
        ({"prompt": [1.5]}, "prompt"),
        ({"prompt": [True]}, "prompt"),
        ({"prompt": ["a"] * 1000}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "a", "temperature": -1}, "temperature"),
        ({"prompt": "a", "temperature": "1"}, "temperature"),
        ({"prompt": "a", "top_p": 0}, "top_p"),
        ({"prompt": "a", "top_k": 1.5}, "top_k"),
        ({"prompt": "a", "seed": -1}, "seed"),
        ({"prompt": "a", "seed": 2**40}, "seed"),
        ({"prompt": "a", "n": 0}, "n"),
        ({"prompt": "a", "n": 10**9}, "n"),
        ({"prompt": ["a"] * 100, "n": 100}, "n"),
        ({"prompt": "a", "max_tokens": 10**30}, "max_tokens"),
        ({"prompt": "a", "stop": [""]}, "stop"),
        ({"prompt": "a", "stop": ["x"] * 99}, "stop"),
        ({"prompt": "a", "stop": 5}, "stop"),
        ({"prompt": "a", "logprobs": 10**6}, "logprobs"),
        ({"prompt": "a", "logprobs": True}, "logprobs"),
        ({"prompt": "a", "logit_bias": {"x": 1}}, "logit_bias"),
        ({"prompt": "a", "logit_bias": {"1": 1e9}}, "logit_bias"),
        ({"prompt": "a", "logit_bias": [1]}, "logit_bias"),
        ({"prompt": "a", "stream": "yes"}, "stream"),
        ({"prompt": "a", "stream_options": {"x": 1}}, "stream_options.x"),
        ({"prompt": "a", "best_of": 5}, "best_of"),
        ({"prompt": "a", "suffix": 5}, "suffix"),
        ({"prompt": [1, 2], "suffix": "b"}, "suffix"),
        ({"prompt": "a", "suffix": "b", "echo": True}, "echo"),
        ({"prompt": "a", "grammar": "root ::= x"}, "grammar"),
        ({"prompt": "a", "response_format": {"type": "json"}}, "response_format.type"),
        ({"prompt": "a", "typical_p": 0}, "typical_p"),
        ({"prompt": "a", "samplers": ["top_k", "topp_p"]}, "samplers"),
        ({"prompt": "a", "samplers": [1]}, "samplers"),
        ({"prompt": "a", "dry_sequence_breakers": ["x"] * 99}, "dry_sequence_breakers"),
        ({"prompt": "a", "mirostat": 2}, "mirostat"),
        ({"prompt": "a", "model": 5}, "model"),
    ],
)
def test_what_cannot_be_is_refused_by_name(echo, body, param):
    """Catches a field that is ignored although it changes answers, and one without a bound."""
    assert refused(echo, COMPLETIONS, **body)["param"] == param


def test_harmless_fields_and_null_say_nothing(echo):
    """Catches clients that are turned away for what has no effect."""
    harmless = {"user": "me", "metadata": {"a": "b"}, "store": True, "suffix": None, "stop": None}
    told = post(
        echo, COMPLETIONS, prompt="a", max_tokens=1, response_format={"type": "text"}, **harmless
    )
    assert told["choices"][0]["text"] == " a"


def test_a_prompt_that_does_not_fit_is_named(tiny):
    """Catches a prompt that is cut, or blamed on the server."""
    error = refused(tiny, COMPLETIONS, prompt="the cat " * 100)
    assert error["code"] == "context_length_exceeded"
    assert "64" in error["message"]
    assert refused(tiny, COMPLETIONS, prompt=[1, 10**6])["param"] == "prompt"


def test_another_model_is_not_found(echo):
    """Catches an answer of one model under the name of another."""
    error = refused(echo, COMPLETIONS, 404, model="gpt-4o", prompt="a")
    assert error["code"] == "model_not_found"
    assert "tiny" in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"prompt": "a", "prompt": "b"}',
        b"\xff",
        b"[" * 100_000,
        b'{"a":"\\ud800"}',
    ],
)
def test_a_body_that_is_no_object_is_refused(echo, body):
    """Catches a parser that fails as a bug, or reads what nobody meant."""
    response = echo.post(COMPLETIONS, content=body)
    assert response.status_code == 400
    assert "body" in response.json()["error"]["message"]


def test_a_body_that_is_too_large_is_not_read(echo):
    """Catches memory that a client fills, by what it says and by what it sends."""
    large = b'{"prompt": "' + b"a" * (9 << 20) + b'"}'
    assert echo.post(COMPLETIONS, content=large).status_code == 413
    parts = (b"a" * (1 << 20) for _ in range(9))
    assert echo.post(COMPLETIONS, content=parts).status_code == 413
