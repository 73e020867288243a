"""What rows ask: their settings, their names, OpenAI's lines, and what is refused by name."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gptcli.batches.asked import Dialect, Wanted
from gptcli.batches.dialects.chat import Chats
from gptcli.batches.dialects.completion import Completions
from gptcli.batches.dialects.others import Chosen, NextTokens, Queries, Scores
from gptcli.batches.feed import AskedRows
from gptcli.batches.keys import content_of, key_of, row_seed, seeded
from gptcli.batches.own import SETTINGS
from gptcli.batches.shard import Shard
from gptcli.errors import InputError
from gptcli.types.chat import ChatRequest, Message
from gptcli.types.choose import ChooseRequest
from gptcli.types.completion import Request
from gptcli.types.constraints import Constraint
from gptcli.types.few_shot import Example, FewShotQueries, FewShotRequest, Query
from gptcli.types.next_tokens import NextTokensRequest
from gptcli.types.rows import Row
from gptcli.types.sampling import SamplingWish
from gptcli.types.score import ScoreRequest

PLAIN = Request("", SamplingWish(temperature=0.5), max_new_tokens=9, stop=("\n",))
PROMPTS = Completions(PLAIN)
SCENE = Message("system", "Be brief.")
CHATS = Chats(ChatRequest((SCENE,), max_new_tokens=9))


def row(**values: Any) -> Row:
    return Row("rows: line 3", 3, values)


def cells(**values: str) -> Row:
    return Row("rows: line 3", 3, values, table=True)


def line(body: Any, url: str = "/v1/completions", **more: Any) -> Row:
    return row(custom_id="c", method="POST", url=url, body=body, **more)


def asks(dialect: Dialect, of: Row) -> Any:
    return dialect.wanted(of).question


def test_a_rows_words_come_before_the_flags():
    """Catches a setting that is lost, taken for another's, or that outlives its row."""
    found = PROMPTS.wanted(
        row(prompt="a", id=7, top_p=0.5, max_tokens=3, stop=["x", "y"], n=2, seed=4, logprobs=1)
    )
    wish = SamplingWish(temperature=0.5, top_p=0.5)
    assert found.question == Request(
        "a", wish, max_new_tokens=3, stop=("x", "y"), seed=4, samples=2, logprobs=1
    )
    assert (found.id, found.seeded, found.own, found.openai) == (7, True, True, False)
    plain = PROMPTS.wanted(row(prompt="a", x_comment="left alone", id="x", metadata={"a": 1}))
    assert plain == Wanted(Request("a", SamplingWish(temperature=0.5), 9, ("\n",)), "x")
    assert asks(PROMPTS, row(**{"": "a line"})).prompt == "a line"


def test_cells_of_tables_are_texts_and_may_be_empty():
    """Catches a number of a CSV file that is a text, and an empty cell that is a setting."""
    found = asks(PROMPTS, cells(prompt="2", temperature="0.25", temp="", max_tokens="-1", stop=""))
    assert (found.sampling.temperature, found.max_new_tokens, found.stop) == (0.25, None, ("\n",))
    assert found.prompt == "2"
    found = asks(PROMPTS, cells(prompt="a", n="2.0", stop="5", logit_bias="7=-1", comment="c"))
    assert (found.samples, found.stop) == (2, ("5",))
    assert found.sampling.logit_bias == (("7", -1.0),)
    for said, reason in (
        ({"temperature": "hot"}, '"temperature": must be a number'),
        ({"n": "1.5"}, '"n": must be a whole number'),
        ({"prompt": ""}, '"prompt": is empty'),
        # A setting that the command has not is no column of the user's own.
        ({"top_logprobs": "1"}, '"top_logprobs": is not known here'),
    ):
        with pytest.raises(InputError, match=re.escape(reason)):
            PROMPTS.wanted(cells(**{"prompt": "a"} | said))


def test_cells_that_are_lists():
    """Catches choices that a table cannot give, or that are cut where they are whole."""
    chosen = Chosen(ChooseRequest("", ("x", "y")))
    for cell, choices in (
        (" yes| no", (" yes", " no")),
        ('[" a|b", "c"]', (" a|b", "c")),
        ("", ("x", "y")),
    ):
        assert asks(chosen, cells(prompt="a", choices=cell)).choices == choices
    for cell in ("yes", "yes|", "[yes|no", "[1, 2]", "yes|yes"):
        with pytest.raises(InputError):
            chosen.wanted(cells(prompt="a", choices=cell))
    talk = '[{"role": "user", "content": "hi"}]'
    assert asks(CHATS, cells(messages=talk)).messages == (SCENE, Message("user", "hi"))
    with pytest.raises(InputError, match="must be a list"):
        CHATS.wanted(cells(messages="hi"))
    with pytest.raises(InputError, match="must be a list"):
        CHATS.wanted(row(messages=talk))


def test_forms_by_the_names_of_the_flags():
    """Catches a form that is passed over, one beside another, and a grammar that is a grade."""
    shots = Queries(FewShotRequest(()), "input")
    for dialect, text in ((PROMPTS, "prompt"), (CHATS, "message"), (shots, "input")):
        for values, form in (
            ({"regex": "a+"}, Constraint("regex", "a+")),
            ({"one_of": ["a", "b|c"]}, Constraint("one-of", choices=("a", "b|c"))),
            ({"grammar": 'root ::= "a"'}, Constraint("grammar", 'root ::= "a"')),
            ({"json_object": True}, Constraint("json-object")),
            ({"json_schema": {"type": "null"}}, Constraint("json-schema", '{"type": "null"}')),
            ({"regex": "a", "repair": True}, Constraint("regex", "a", repair=True)),
        ):
            found = dialect.wanted(row(**{text: "a"} | values))
            asked = found.question.request if dialect is shots else found.question
            assert (asked.constraint, found.own) == (form, True)
        with pytest.raises(InputError, match="one of regex, one_of"):
            dialect.wanted(row(**{text: "a"}, regex="a", one_of=["b"]))
    found = asks(PROMPTS, cells(prompt="a", one_of="a|b", regex="", grammar="4"))
    assert found.constraint == Constraint("one-of", choices=("a", "b"))
    assert asks(PROMPTS, cells(prompt="a", regex="[0-9]")).constraint == Constraint(
        "regex", "[0-9]"
    )
    labelled = Queries(FewShotRequest((), labels=("b", "c")), "input")
    with pytest.raises(InputError, match='"regex": draws nothing'):
        labelled.wanted(row(input="c", regex="a"))


@pytest.mark.parametrize(
    ("dialect", "values", "reason"),
    [
        (PROMPTS, {"temprature": 1}, '"temprature": is not known here (did you mean temperature?)'),
        (PROMPTS, {"label": "b"}, '"label": is not known here (of your own: x_…'),
        (PROMPTS, {"max_new_token": 1}, "did you mean max_tokens?"),
        (PROMPTS, {"model": "other"}, '"model": is not known here'),
        (PROMPTS, {"choices": ["a", "b"]}, '"choices": is not known here'),
        (CHATS, {"sistem": "b"}, "did you mean system?"),
        (Scores(ScoreRequest("")), {"temperature": 1}, '"temperature": is not known here'),
        (NextTokens(NextTokensRequest("", rows=3)), {"max_tokens": 1}, '"max_tokens": is not kno'),
        (Chosen(ChooseRequest("", ("x", "y"))), {"choice": ["a"]}, "did you mean choices?"),
        (Queries(FewShotRequest(()), "input"), {"outputs": "b"}, "did you mean output?"),
    ],
)
def test_a_field_that_nobody_knows_is_named_with_the_nearest(dialect, values, reason):
    """Catches a setting with a slip that is passed over, of a row and of a line of OpenAI's."""
    text = {Chats: "message", Scores: "text", Queries: "input"}.get(type(dialect), "prompt")
    with pytest.raises(InputError, match=re.escape(reason)):
        dialect.wanted(row(**{text: "a"} | values))
    # In a table it may be a column of the user's own, and nothing is nothing.
    if not values.keys() & SETTINGS:
        dialect.wanted(cells(**{text: "a"} | dict.fromkeys(values, "0")))
    dialect.wanted(row(**{text: "a"} | dict.fromkeys(values)))


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, '"prompt": is missing'),
        ({"prompt": 3}, '"prompt": must be a text'),
        ({"prompt": None, "promt": "a"}, '"prompt": is missing, but "promt" is there'),
        ({"prompt": ""}, '"prompt": is empty'),
        ({"temperature": -1}, '"temperature": must be 0 or more'),
        ({"temperature": "hot"}, '"temperature": must be a number'),
        ({"temperature": True}, '"temperature": must be a number'),
        ({"temperature": float("nan")}, '"temperature"'),
        ({"top_p": 0}, '"top_p": must be above 0'),
        ({"seed": 2**32}, '"seed": must be from 0'),
        ({"seed": 1.5}, '"seed": must be a whole number'),
        ({"n": 0}, '"n": must be from 1'),
        ({"n": 10**30}, '"n": must be from 1'),
        ({"max_tokens": 1, "max_new_tokens": 2}, 'says "max_tokens" twice'),
        ({"max_tokens": [1]}, '"max_tokens": must be a number'),
        pytest.param({"max_tokens": "9" * 5000}, '"max_tokens": must be a number', id="long"),
        ({"stop": [""]}, '"stop": must be a text or a list of texts, none empty'),
        ({"temperature": "0.5"}, '"temperature": must be a number'),
        ({"logit_bias": {"5": "x"}}, '"logit_bias": must be an object'),
        ({"logprobs": -1}, '"logprobs": must be from 0'),
        ({"id": [1]}, '"id" must be a text'),
        ({"id": True}, '"id" must be a text'),
        ({"id": "x" * 2000}, '"id" is longer'),
    ],
    ids=str,
)
def test_what_cannot_be_is_named(values, reason):
    """Catches a setting that is dropped in silence, or taken for what it is not."""
    whole = values if "prompt" in values or not values else {"prompt": "a"} | values
    with pytest.raises(InputError) as caught:
        PROMPTS.wanted(row(**whole))
    assert caught.value.subject == "rows: line 3"
    assert reason in caught.value.reason


def test_lines_of_openai():
    """Catches a body's words that are lost, and one for another kind of question that is taken."""
    body = {"model": "gpt-x", "prompt": "a", "max_tokens": 2, "logit_bias": {"5": -100}}
    found = PROMPTS.wanted(line(body | {"stream": False, "user": "u"}))
    assert (found.id, found.openai) == ("c", True)
    assert found.question.max_new_tokens == 2
    assert found.question.sampling.logit_bias == (("5", -100.0),)
    messages = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]
    chat = {"messages": messages, "max_completion_tokens": 3, "logprobs": True, "top_logprobs": 2}
    asked = asks(CHATS, line(chat, "/v1/chat/completions"))
    assert asked.messages == (Message("system", "Be kind."), Message("user", "ab"))
    assert (asked.max_new_tokens, asked.logprobs) == (3, 2)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (line({"prompt": "a"}, "/v1/chat/completions"), '"url" must be /v1/completions'),
        (line({"prompt": "a"}, more=1), "'more' is no part of a line"),
        (line({"prompt": "a", "best_of": 3}), '"best_of": must be n'),
        (line({"prompt": "a", "stream": True}), '"stream": a row\'s answer comes whole'),
        (line({"prompt": "a", "colour": 3}), '"colour": is not known here'),
        (line({"prompt": "a", "temprature": 3}), "did you mean temperature?"),
        (line({"prompt": "a", "max_new_tokens": 3}), '"max_new_tokens": is not known here'),
        (line({"prompt": "a", "temperature": "1"}), '"temperature": must be a number'),
        (line({"prompt": "a", "echo": True}), '"echo": is not done in a batch'),
        (line({"prompt": ""}), '"prompt": is empty'),
        (line({"prompt": ["a", "b"]}), '"prompt": must be one text in a batch'),
        (line({"prompt": [1, 2]}), '"prompt": must be one text in a batch'),
        (line("a"), '"body" is no object'),
        (row(url="/v1/completions", body={}), 'has no "custom_id"'),
        (row(url="/v1/completions", body={}, custom_id="c", method="GET"), "must be POST"),
    ],
)
def test_lines_of_openai_that_cannot_be(given, reason):
    """Catches a line that is answered otherwise than it asks."""
    with pytest.raises(InputError) as caught:
        PROMPTS.wanted(given)
    assert reason in str(caught.value)


def test_conversations():
    """Catches a system message that is doubled or lost."""
    assert asks(CHATS, row(message="a")).messages == (SCENE, Message("user", "a"))
    own = (Message("system", "s"), Message("user", "a"))
    assert asks(CHATS, row(prompt="a", system="s")).messages == own
    assert asks(CHATS, row(**{"": "a"})).messages == (SCENE, Message("user", "a"))


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], '"messages": must be a list'),
        (["a"], '"messages[0]": must be an object'),
        ([{"role": "tool", "content": "a"}], '"messages[0].role": must be one of'),
        ([{"role": "user", "content": [{"type": "image_url"}]}], '"messages[0].content[0]": only'),
        ([{"role": "user", "content": None}], '"messages[0].content": must be a text'),
        ([{"role": "user", "content": "a", "tool_calls": [1]}], '"messages[0].tool_calls": tools'),
        ([{"role": "user", "content": "a", "name": "b"}], '"messages[0].name": is not known'),
        ([{"role": "assistant", "content": "a"}], '"messages": the last must be the user'),
        ([{"role": "user", "content": " "}], '"messages": the last is empty'),
        (
            [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}],
            '"messages": a system message can only be the first',
        ),
    ],
)
def test_messages_that_cannot_be(messages, reason):
    """Catches a message that is dropped, or said by somebody else."""
    for said in (row(messages=messages), line({"messages": messages}, "/v1/chat/completions")):
        with pytest.raises(InputError) as caught:
            CHATS.wanted(said)
        assert reason in caught.value.reason
    with pytest.raises(InputError, match='"n": can only be 1'):
        CHATS.wanted(row(message="a", n=2))


def test_the_others():
    """Catches a text that is looked for under another name, and settings without effect."""
    scores = Scores(ScoreRequest("", "before"))
    assert asks(scores, row(text="a")) == ScoreRequest("a", "before", subject="rows: line 3")
    assert asks(scores, row(text="a", context="b")).context == "b"
    looks = NextTokens(NextTokensRequest("", rows=3))
    assert asks(looks, row(prompt="a", top_k=2)).sampling == SamplingWish(top_k=2)
    chosen = Chosen(ChooseRequest("", ("x", "y")))
    assert asks(chosen, row(prompt="a")).choices == ("x", "y")
    assert asks(chosen, row(prompt="a", choices=["p", "q", "r"])).choices == ("p", "q", "r")
    for choices in (["p"], ["p", "p"], ["p", ""], "pq", [1, 2]):
        with pytest.raises(InputError):
            chosen.wanted(row(prompt="a", choices=choices))
    request = FewShotRequest((Example("a", "b"),))
    queries = Queries(request, "input")
    question = asks(queries, row(input="c", max_tokens=5, seed=3))
    assert question.queries == (Query("rows: line 3", "c"),)
    assert (question.request.max_new_tokens, question.request.seed) == (5, 3)
    with pytest.raises(InputError, match='"n": can only be 1'):
        queries.wanted(row(input="c", n=2))
    # A column of the input may be called as a setting is, which it is not then.
    found = Queries(request, "n").wanted(row(n="c", output="d"))
    assert (found.question.queries[0].text, found.own) == ("c", False)
    labelled = Queries(FewShotRequest((Example("a", "b"),), labels=("b", "c")), "input")
    with pytest.raises(InputError, match='"temperature": draws nothing'):
        labelled.wanted(row(input="c", temperature=1))


def test_rows_are_known_by_what_they_hold():
    """Catches a row that is taken for another, and one that is not known again."""
    base = PROMPTS.wanted(row(prompt="a"))
    known = content_of(base)
    assert known == content_of(PROMPTS.wanted(row(prompt="a", x_comment=1)))
    assert known == content_of(Wanted(seeded(base.question, 5)))
    others = [
        *(
            content_of(PROMPTS.wanted(row(prompt="a", **more)))
            for more in ({"id": 1}, {"id": "1"}, {"seed": 0}, {"seed": 1}, {"n": 2}, {"top_k": 1})
        ),
        content_of(PROMPTS.wanted(row(prompt="b"))),
        content_of(PROMPTS.wanted(line({"prompt": "a"}))),
    ]
    assert len({known, *others}) == len(others) + 1
    keys = {key_of(*each) for each in (("s", 3, "a"), ("t", 3, "a"), ("s", 4, "a"), ("s", 3, "b"))}
    assert len(keys) == 4
    queries = Queries(FewShotRequest((Example("a", "b"),)), "input")
    first, second = (
        queries.wanted(Row(name, 3, {"input": "c"})) for name in ("x: line 3", "y: line 3")
    )
    # A file that has got another name has the same rows.
    assert content_of(first) == content_of(second)


def test_seeds_are_of_the_run_and_what_a_row_holds():
    """Catches a row whose draw depends on what stands around it, or on another's seed."""
    seeds = {row_seed(run, text) for run in range(20) for text in "abcdefgh"}
    assert len(seeds) == 20 * 8
    assert all(0 <= seed < 2**32 for seed in seeds)

    def drawn(*prompts: str, shard: Shard) -> dict[str, int]:
        rows = (Row(f"line {at}", at, {"": text}) for at, text in enumerate(prompts, 1))
        asked = AskedRows(rows, PROMPTS, shard, mark="s", seed=7)
        return {each.wanted.question.prompt: each.wanted.question.seed for each in asked}

    whole = drawn("a", "b", "c", shard=Shard())
    assert whole == drawn("c", "b", "a", shard=Shard()) and len(set(whole.values())) == 3
    assert drawn("a", "b", "c", shard=Shard(2, 2)) == {"b": whole["b"]}
    # Written down, since outputs that are resumed by a later version hang on it.
    assert row_seed(1, "a") == 0x4162FDDD
    question = FewShotQueries(FewShotRequest(()), (Query("q", "a"),))
    again = seeded(question, 9)
    assert isinstance(again, FewShotQueries) and again.request.seed == 9
    assert seeded(ScoreRequest("a"), 9) == ScoreRequest("a")
