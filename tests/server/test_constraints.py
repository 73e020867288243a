"""What an answer has to be, in the words of OpenAI, of vLLM and of llama-server."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.server.clients import CHAT, COMPLETIONS, post, refused, say, streamed

SCHEMA = {"type": "array", "items": {"enum": ["a", 1]}, "minItems": 2, "maxItems": 3}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": SCHEMA}}
GBNF = 'root ::= [xy] "-" last\nlast ::= "z"\n'
#: The fields, and what their texts match; None for lists of the schema.
FIELDS: list[tuple[dict[str, Any], str | None]] = [
    ({"response_format": FORMAT}, None),
    ({"response_format": {"type": "json_schema", "schema": SCHEMA}}, None),
    ({"json_schema": SCHEMA}, None),
    ({"guided_json": SCHEMA}, None),
    ({"guided_json": json.dumps(SCHEMA)}, None),
    ({"structured_outputs": {"json": SCHEMA}}, None),
    ({"guided_regex": "[ab]{3}"}, "[ab]{3}"),
    ({"structured_outputs": {"regex": "[ab]{3}"}}, "[ab]{3}"),
    ({"guided_choice": ["a b", "c"]}, "a b|c"),
    ({"structured_outputs": {"choice": ["a b", "c"]}}, "a b|c"),
    ({"grammar": GBNF}, "[xy]-z"),
    ({"guided_grammar": 'start: /[xy]/ "-z"'}, "[xy]-z"),
    ({"structured_outputs": {"grammar": GBNF}}, "[xy]-z"),
]
ASK = {"max_tokens": 40, "temperature": 1, "min_p": 0, "seed": 3}


def check(text: str, pattern: str | None) -> None:
    if pattern is None:
        assert 2 <= len(json.loads(text)) <= 3
    else:
        assert re.fullmatch(pattern, text)


@pytest.mark.parametrize(("fields", "pattern"), FIELDS, ids=[str(f)[:40] for f, _ in FIELDS])
def test_each_word_for_it_is_obeyed(tiny, fields, pattern):
    """Catches a field that is taken and then forgotten, of texts, of chats, and in a stream."""
    told = post(tiny, COMPLETIONS, prompt="the cat", n=3, repair=True, **ASK, **fields)
    for choice in told["choices"]:
        check(choice["text"], pattern)
    chat = {"messages": say("the"), "repair": True, **ASK, **fields}
    check(post(tiny, CHAT, **chat)["choices"][0]["message"]["content"], pattern)
    parts = streamed(tiny, CHAT, **chat)
    check("".join(each["choices"][0]["delta"].get("content", "") for each in parts), pattern)


def test_an_object_is_one(tiny):
    """Catches JSON that is no object."""
    wanted = {"response_format": {"type": "json_object"}, "repair": True, **ASK, "max_tokens": 9}
    text = post(tiny, COMPLETIONS, prompt="the cat", **wanted)["choices"][0]["text"]
    assert isinstance(json.loads(text), dict)


def test_a_text_that_is_not_whole_says_so(tiny):
    """Catches a client that takes half a text for a whole one."""
    cut = post(tiny, COMPLETIONS, prompt="a", **ASK | {"max_tokens": 1}, json_schema=SCHEMA)
    assert cut["choices"][0]["finish_reason"] == "length"
    assert "is missing at least" in cut["notices"][0]["text"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"guided_regex": "("}, "regex"),
        ({"json_schema": {"not": {}}}, "json_schema"),
        ({"grammar": "root ::= x"}, "grammar"),
        ({"guided_regex": "a", "grammar": GBNF}, "guided_regex"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"structured_outputs": {"structural_tag": "x"}}, "structured_outputs.structural_tag"),
        ({"guided_regex": "a?b?c?" * 3000}, "regex"),
    ],
)
def test_a_form_that_cannot_be_is_refused(tiny, fields, param):
    """Catches a stranger's form that stops the server, and one that is passed over."""
    assert refused(tiny, COMPLETIONS, prompt="a", **ASK, **fields)["param"] == param
