"""/v1/chat/completions: conversations, several answers, and what is thought before them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gptcli.backends.echo import EchoBackend
from gptcli.backends.local import LocalBackend
from gptcli.types.chat import ChatRequest, Message
from gptcli.types.completion import Chunk
from gptcli.types.sampling import SamplingWish
from tests.server.clients import CHAT, client_of, local, post, refused, say, streamed


@pytest.fixture(scope="module")
def backend(chat_model: Path) -> LocalBackend:
    return local(chat_model)


def test_answers_are_those_of_the_command_line(tiny, backend):
    """Catches a message that is lost, and samples that are not seed by seed."""
    messages = [
        {"role": "system", "content": "be a cat"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "sit "}, {"type": "text", "text": "on"}],
        },
        {"role": "assistant", "content": "the mat", "reasoning_content": "where?"},
        {"role": "user", "content": "and then"},
    ]
    wish = SamplingWish(temperature=1.1, seed=11)
    roles = ("system", "user", "assistant", "user")
    contents = ("be a cat", "sit on", "the mat", "and then")
    asked = tuple(Message(*each) for each in zip(roles, contents, strict=True))
    want = []
    for seed in (11, 12):
        request = ChatRequest(asked, sampling=wish, max_new_tokens=12, seed=seed)
        events = backend.answer(request)
        want.append("".join(event.text for event in events if isinstance(event, Chunk)))
    body = {"messages": messages, "temperature": 1.1, "seed": 11, "n": 2, "max_tokens": 12}
    told = post(tiny, CHAT, **body)
    assert [choice["message"]["content"] for choice in told["choices"]] == want
    assert {choice["message"]["role"] for choice in told["choices"]} == {"assistant"}
    assert told["object"] == "chat.completion"
    events = streamed(tiny, CHAT, **body, stream_options={"include_usage": True})
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    for index in range(2):
        own = [c for event in events for c in event["choices"] if c["index"] == index]
        assert "".join(each["delta"].get("content", "") for each in own) == want[index]
        assert [each["delta"].get("role") for each in own] == ["assistant"] + [None] * (
            len(own) - 1
        )
    usage = events[-1]["usage"]
    assert usage["prompt_tokens"] == told["usage"]["prompt_tokens"] > 10
    assert usage["completion_tokens"] == told["usage"]["completion_tokens"]


def test_a_conversation_that_does_not_fit_is_told_without_flags(tiny):
    """Catches the advice to use a flag, which no client of this server has."""
    error = refused(tiny, CHAT, messages=say("the cat " * 400))
    assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
    assert "--" not in error["message"]


def test_logprobs_are_told_token_by_token(tiny):
    """Catches log-probabilities that belong to other tokens, or too few beside them."""
    body = {"messages": say("the cat"), "max_tokens": 4, "logprobs": True, "top_logprobs": 3}
    told = post(tiny, CHAT, **body, temperature=0, logit_bias={"0": -100, "1": -100})
    content = told["choices"][0]["logprobs"]["content"]
    assert len(content) == 4
    for each in content:
        assert each["logprob"] == each["top_logprobs"][0]["logprob"]
        assert len(each["top_logprobs"]) == 3
    text = b"".join(bytes(each["bytes"]) for each in content).decode(errors="replace")
    assert told["choices"][0]["message"]["content"] == text


def test_developer_is_the_system(echo):
    """Catches newer clients' word for it."""
    told = post(echo, CHAT, messages=[{"role": "developer", "content": "x"}, *say("hi")])
    assert told["choices"][0]["message"]["content"] == " hi"


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        (None, "messages"),
        ([], "messages"),
        ("hello", "messages"),
        (["hello"], "messages[0]"),
        ([{"role": "tool", "content": "x"}], "messages[0].role"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "messages[0].content[0]"),
        ([{"role": "user", "content": "x", "name": "me"}], "messages[0].name"),
        ([*say("x"), {"role": "assistant", "content": "y"}], "messages"),
        (say(" "), "messages"),
        ([*say("x"), {"role": "system", "content": "y"}, *say("z")], "messages"),
    ],
)
def test_conversations_that_cannot_be(echo, messages, param):
    """Catches a message that is left out, and one that fails as a bug."""
    assert refused(echo, CHAT, messages=messages)["param"] == param


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("tool_choice", "required"),
        ("response_format", {"type": "json_schema", "json_schema": {}}),
        ("top_logprobs", 3),
        ("reasoning_effort", "high"),
        ("modalities", ["text", "audio"]),
        ("max_completion_token", 3),
        ("reasoning_format", "hidden"),
    ],
)
def test_what_this_server_has_not_is_refused_by_name(echo, field, value):
    """Catches a wish that is passed over."""
    assert refused(echo, CHAT, messages=say("x"), **{field: value})["param"] == field


class Thinker(EchoBackend):
    """Thinks what the user says up to a bar and says the rest, letter by letter."""

    def answer(self, question: Any) -> Any:
        if not isinstance(question, ChatRequest):
            return super().answer(question)
        return self._spelled(question)

    def _spelled(self, question: ChatRequest) -> Iterator[Any]:
        thought, bar, said = question.messages[-1].content.rpartition("|")
        for letter in thought if question.apart else "":
            yield Chunk("", thinking=letter)
        for letter in said if question.apart else thought + bar + said:
            yield Chunk(letter)
        yield Chunk("", finish_reason="stop")


def test_thoughts_are_told_apart():
    """Catches thoughts in the answer, and a text that is taken for one by its letters here."""
    text = "hm, <b> </thin\n|Forty-<think>two</think>."
    with client_of(Thinker()) as client:
        (choice,) = post(client, CHAT, messages=say(text))["choices"]
        assert choice["message"]["reasoning_content"] == "hm, <b> </thin\n"
        assert choice["message"]["content"] == "Forty-<think>two</think>."
        deltas = [
            each["choices"][0]["delta"] for each in streamed(client, CHAT, messages=say(text))
        ]
        thought = "".join(each.get("reasoning_content", "") for each in deltas)
        said = "".join(each.get("content", "") for each in deltas)
        assert (thought, said) == ("hm, <b> </thin\n", "Forty-<think>two</think>.")
        # Clients look for one of the two, and do without the other then.
        assert not any({"content", "reasoning_content"} <= each.keys() for each in deltas)
        (plain,) = post(client, CHAT, messages=say(text), reasoning_format="none")["choices"]
        assert plain["message"] == {"role": "assistant", "content": text}
        (choice,) = post(client, CHAT, messages=say("cut of|"))["choices"]
        assert choice["message"]["reasoning_content"] == "cut of"
        assert choice["message"]["content"] == ""
        (choice,) = post(client, CHAT, messages=say("<think>a</think>"))["choices"]
        assert choice["message"] == {"role": "assistant", "content": "<think>a</think>"}


def test_a_template_that_opens_the_thought_is_known(chat_model, tmp_path):
    """Catches thinking without its opening mark, which the template wrote itself."""
    import json
    import shutil

    from tests.conftest import CHAT_TEMPLATE

    directory = tmp_path / "m"
    shutil.copytree(chat_model, directory)
    template = CHAT_TEMPLATE.replace("assistant\n{% endif", "assistant\n<think>\n{% endif")
    template += "{# ends with </think> #}"
    settings = {"eos_token": "<|end|>", "chat_template": template}
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))
    with client_of(local(directory)) as client:
        body = {"messages": say("x"), "max_tokens": 8, "seed": 1, "logit_bias": {"0": -100}}
        (choice,) = post(client, CHAT, **body)["choices"]
        assert choice["message"]["content"] == ""
        assert choice["message"]["reasoning_content"]
        told = post(client, CHAT, **body, thinking_budget=2)
        (ended,) = told["choices"]
        assert len(ended["message"]["reasoning_content"]) < len(
            choice["message"]["reasoning_content"]
        )
        assert 0 < told["usage"]["completion_tokens_details"]["reasoning_tokens"] <= 8
