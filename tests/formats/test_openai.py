"""Bodies of OpenAI's requests: one reader, whoever sends them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from gptcli.batches.dialects.chat import Chats
from gptcli.batches.dialects.completion import Completions
from gptcli.config import Limit
from gptcli.errors import InputError
from gptcli.formats.openai.chat import chat
from gptcli.formats.openai.completion import completions
from gptcli.formats.openai.fields import FieldError, Fields
from gptcli.types.chat import ChatRequest, Message
from gptcli.types.completion import Request
from gptcli.types.rows import Row
from gptcli.types.sampling import SamplingWish

HI = {"messages": [{"role": "user", "content": "hi"}]}
READERS: dict[str, Callable[[Fields], Any]] = {"completions": completions, "chat/completions": chat}


def refusal(path: str, body: dict[str, Any]) -> FieldError:
    fields = Fields(body)
    with pytest.raises(FieldError) as caught:
        READERS[path](fields)
        fields.done()
    return caught.value


def test_what_a_body_asks():
    """Catches a word of a body that is lost, and a default that is taken for one."""
    fields = Fields(
        {
            "prompt": ["a", [1, 2]],
            "n": 2.0,
            "best_of": 2,
            "max_tokens": -1,
            "seed": 7,
            "stop": "x",
            "temperature": 1,
            "top_k": -1,
            "logit_bias": {"05": 1},
            "logprobs": 3,
            "special": True,
            "user": "u",
            "suffix": None,
        }
    )
    found = completions(fields)
    fields.done()
    wish = SamplingWish(temperature=1.0, top_k=0, logit_bias=(("5", 1.0),))
    one = Request("a", wish, None, ("x",), 7, 2, 3, special=True)
    other = Request("", wish, None, ("x",), 7, 2, 3, special=True, ids=(1, 2))
    assert (found.questions, found.seed) == ((one, other), 7)
    (plain,) = completions(Fields({"prompt": "a"})).questions
    assert plain == Request("a", max_new_tokens=16)
    scene = Message("system", "s")
    default = ChatRequest((scene,), sampling=SamplingWish(temperature=0.5, seed=9), stop=("x",))
    answer = chat(Fields(HI | {"logprobs": True, "stop": []}), default)
    assert answer.question.messages == (scene, Message("user", "hi"))
    assert answer.question.sampling == SamplingWish(temperature=0.5)
    assert (answer.question.logprobs, answer.question.stop) == (0, ())
    assert (answer.samples, answer.seed) == (1, None)
    own = [{"role": "developer", "content": "d"}, *HI["messages"]]
    assert chat(Fields({"messages": own}), default).question.messages[0].content == "d"


@pytest.mark.parametrize(
    ("path", "body", "name", "reason"),
    [
        ("completions", {}, "prompt", "must be a text, a list of ids"),
        ("completions", {"prompt": "a", "logprobs": 101}, "logprobs", "must be from 0 to 100"),
        ("completions", {"prompt": "a", "n": 129}, "n", "must be from 1 to 128"),
        ("completions", {"prompt": "a", "n": 1.5}, "n", "must be a whole number"),
        ("completions", {"prompt": "a", "seed": "1"}, "seed", "must be a number"),
        ("completions", {"prompt": "a", "min_p": float("nan")}, "min_p", "must be from 0 to 1"),
        ("completions", {"prompt": "a", "stop": ["x"] * 17}, "stop", "must be at most 16 texts"),
        ("completions", {"prompt": "a", "stop": ""}, "stop", "none empty"),
        ("completions", {"prompt": "a", "logit_bias": {"a": 1}}, "logit_bias", "by their ids"),
        ("completions", {"prompt": "a", "guided_regex": 5}, "guided_regex", "must be a text"),
        ("completions", {"prompt": "a", "guided_json": 5}, "guided_json", "must be a schema"),
        ("completions", {"prompt": "a", "guided_choice": ["b", "b"]}, "guided_choice", "twice"),
        (
            "completions",
            {"prompt": "a", "grammar": "x", "guided_json": {}},
            "guided_json",
            "one of grammar, guided_json",
        ),
        (
            "completions",
            {"prompt": "a", "structured_outputs": {"regx": "x"}},
            "structured_outputs.regx",
            "did you mean regex",
        ),
        (
            "completions",
            {"prompt": "a", "response_format": {"type": "json_schema", "json_schema": {}}},
            "response_format",
            "has no schema",
        ),
        ("completions", {"prompt": "a", "frequency": 1}, "frequency", "mean frequency_penalty?"),
        ("completions", {"prompt": "a", "x_mine": 1}, "x_mine", "is not known here"),
        ("completions", {"prompt": "a", "messages": []}, "messages", "is not known here"),
        ("chat/completions", HI | {"prompt": "a"}, "prompt", "is not known here"),
        ("chat/completions", HI | {"top_logprobs": 1}, "top_logprobs", "needs logprobs"),
        (
            "chat/completions",
            HI | {"max_tokens": 1, "max_completion_tokens": 1},
            "max_tokens",
            "is max_completion_tokens by another name",
        ),
        ("chat/completions", {"messages": [{"role": "user"}]}, "messages[0].content", "must be a"),
        (
            "chat/completions",
            {"messages": [{"role": "user", "content": "a", "rolle": 1}]},
            "messages[0].rolle",
            "did you mean role?",
        ),
    ],
)
def test_a_refusal_names_the_field_and_is_that_of_a_row_as_well(path, body, name, reason):
    """Catches a body that one of two readers takes otherwise than the other."""
    error = refusal(path, body)
    assert error.subject == name and reason in str(error)
    dialects = {"completions": Completions(Request("")), "chat/completions": Chats(ChatRequest(()))}
    line = {"custom_id": "c", "url": f"/v1/{path}", "body": body}
    with pytest.raises(InputError) as caught:
        dialects[path].wanted(Row("r: line 1", 1, line))
    assert (caught.value.reason, caught.value.hint) == (f'"{name}": {error.reason}', error.hint)


def test_the_samplers_of_llama_cpp():
    """Catches a field of llama-server's that is read otherwise, or left out."""
    body = {
        "prompt": "a",
        "dry_multiplier": 0.8,
        "dry_base": 2,
        "dry_allowed_length": 3,
        "dry_penalty_last_n": 9,
        "dry_sequence_breakers": [],
        "xtc_probability": 0.5,
        "xtc_threshold": 0.2,
        "typical_p": 0.9,
        "top_n_sigma": -1,
        "dynatemp_range": 0.5,
        "dynatemp_exponent": 2,
        "samplers": ["dry", "typ_p", "temperature"],
    }
    fields = Fields(body)
    (found,) = completions(fields).questions
    fields.done()
    lists = {"samplers": ("dry", "typ_p", "temperature"), "dry_sequence_breakers": ("none",)}
    del body["prompt"]
    assert found.sampling == SamplingWish(**{**body, **lists})
    (letters,) = completions(Fields({"prompt": "a", "samplers": "dyt"})).questions
    assert letters.sampling.samplers == lists["samplers"]
    texts = {"prompt": "a", "dry_sequence_breakers": ["x", "yz"]}
    (some,) = completions(Fields(texts)).questions
    assert some.sampling.dry_sequence_breakers == ("x", "yz")


def test_fields_are_known_by_being_taken():
    """Catches a name that is proposed although nobody takes it, and pages of a stranger's."""
    fields = Fields({"aaa": 1, "n" * 5000: 1, "user": "u", "metadata": None}, hint="none")
    fields.whole("bbb", Limit(0))
    assert fields.has("aaa") and not fields.has("metadata")
    assert fields.take("aaa") == 1
    with pytest.raises(FieldError, match=re.escape(f"{'n' * 80}: is not known here (none)")):
        fields.done()
    within = Fields({"a": {"user": "u"}}).object("a")
    with pytest.raises(FieldError, match=r"a\.user: is not known here"):
        within.done()
    with pytest.raises(FieldError, match="must be from 0"):
        Fields({"n": 10**400}).number("n", Limit(0, 5))
