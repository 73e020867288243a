"""What answers is found out, and each kind of server is asked in its own words."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from gptcli.backends.remote.servers import SERVERS
from gptcli.chat import sessions
from gptcli.chat.sessions import Session
from gptcli.types.chat import Message
from tests.backends.remote.serving import DONE, GOOD, as_json, choice, serving, stream
from tests.cli.helpers import run


def models(owner):
    return as_json({"data": [{"id": "m", "owned_by": owner}]})


def asked_of(owner, *argv, other=None, said=GOOD):
    """The body that a server of this owner gets, and how the command ended."""

    def answer(asked):
        if asked.path == "/v1/models":
            return models(owner) if owner else as_json({"error": {"message": "none"}}, 404)
        if asked.method == "GET":
            return (other or {}).get(asked.path) or as_json({}, 404)
        return said

    with serving(answer) as served:
        seed = () if argv[0] == "ask" else ("--seed", "1")
        done = run(*argv[:1], "--base-url", served.url, "-m", "m", *seed, *argv[1:])
    return (served.posted() or [None])[-1], done


@pytest.mark.parametrize(
    ("owner", "other", "title"),
    [
        ("vllm", {}, "vLLM"),
        ("llamacpp", {}, "llama-server"),
        ("library", {}, "ollama"),
        ("organization_owner", {}, "LM Studio"),
        ("gptcli", {}, "gptcli serve"),
        ("somebody", {}, "the server"),
        ("", {"/api/version": as_json({"version": "0.40"})}, "ollama"),
        ("", {"/props": as_json({"total_slots": 1})}, "llama-server"),
        ("", {"/props": as_json({"else": 1})}, "the server"),
    ],
)
def test_what_answers(owner, other, title):
    """Catches a server that is taken for another, and so asked for what it would ignore."""
    _, done = asked_of(owner, "complete", "--stats", "hi", other=other)
    assert done.code == 0, done.err
    assert f"({title} at http://127.0.0.1" in done.err


def test_the_samplers_of_llama_cpp():
    """Catches a sampler that is not passed on, under a name that nobody knows, or to a server that
    would ignore it.
    """
    flags = ["--dry-multiplier", "0.8", "--xtc-probability", "0.5", "--typical-p", "0.9"]
    flags += ["--top-n-sigma", "1", "--dynatemp-range", "0.2", "--samplers", "dry;temp"]
    flags += ["--dry-sequence-breaker", "none"]
    for owner in ("llamacpp", "gptcli"):
        body, done = asked_of(owner, "complete", *flags, "hi")
        assert done.code == 0, done.err
        wanted = {"dry_multiplier": 0.8, "xtc_probability": 0.5, "typical_p": 0.9}
        wanted |= {"top_n_sigma": 1.0, "dynatemp_range": 0.2, "dry_sequence_breakers": []}
        wanted |= {"samplers": ["dry", "temperature"]}
        assert {name: body[name] for name in wanted} == wanted
    for flag, value in zip(flags[::2], flags[1::2], strict=True):
        _, done = asked_of("vllm", "complete", flag, value, "hi")
        assert done.code == 2 and f"{flag}: " in done.err


@pytest.mark.parametrize(("owner", "code"), [("gptcli", 0), ("library", 0), ("vllm", 2)])
def test_a_suffix(owner, code):
    """Catches a suffix that a server would ignore, and one that is not sent."""
    body, done = asked_of(owner, "complete", "--suffix", " b", "a")
    assert done.code == code
    if code:
        assert "--suffix: " in done.err and "fills nothing in" in done.err
    else:
        assert (body["prompt"], body["suffix"]) == ("a", " b")


def test_the_settings_name_what_does_not_say_itself():
    """Catches a proxy behind which nothing can be asked for."""
    file = Path(os.environ["XDG_CONFIG_HOME"]) / "gptcli" / "config.toml"
    file.parent.mkdir(parents=True)
    with serving(lambda a: models("proxy") if a.method == "GET" else GOOD) as served:
        for name, code in (("vllm", 0), ("other", 2), ("vlm", 2)):
            file.write_text(f'[endpoint.x]\nbase-url = "{served.url}"\nserver = "{name}"')
            done = run("complete", "-m", "x/m", "--top-k", "3", "hi")
            assert done.code == code, done.err
    assert "server: must be one of openai, vllm" in done.err


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        ("vllm", {"top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1}),
        ("llamacpp", {"top_k": 5, "min_p": 0.1, "repeat_penalty": 1.1}),
        ("gptcli", {"top_k": 5, "min_p": 0.1, "repeat_penalty": 1.1}),
    ],
)
def test_the_sampler_in_their_words(owner, names):
    """Catches a field that a server does not know, which it would pass over."""
    flags = ("--top-k", "5", "--min-p", "0.1", "--repeat-penalty", "1.1", "--top-p", "0.9")
    body, done = asked_of(owner, "complete", *flags, "hi")
    assert done.code == 0, done.err
    assert body.items() >= (names | {"top_p": 0.9}).items()


@pytest.mark.parametrize("flag", ["--top-k", "--min-p", "--repeat-penalty"])
@pytest.mark.parametrize("owner", ["somebody", "library"])
def test_what_would_be_ignored(owner, flag):
    """Catches a flag that has no effect."""
    body, done = asked_of(owner, "complete", flag, "1", "hi")
    assert (done.code, body) == (2, None)
    assert f"{flag}: " in done.err and "has no such setting" in done.err


@pytest.mark.parametrize(
    ("owner", "field"),
    [("llamacpp", None), ("library", None), ("gptcli", -1)],
)
def test_a_text_without_a_limit(owner, field):
    """Catches a text that ends after the 16 tokens that OpenAI gives unasked."""
    body, done = asked_of(owner, "complete", "-n", "-1", "hi")
    assert done.code == 0, done.err
    assert body.get("max_tokens") == field


def test_control_tokens():
    """Catches a server that is not told what --special asks for, or that nobody warns of."""
    body, done = asked_of("gptcli", "complete", "--special", "<|im_end|>")
    assert body["special"] is True and not done.err
    body, done = asked_of("gptcli", "complete", "<|im_end|>")
    assert "special" not in body and not done.err
    body, done = asked_of("vllm", "complete", "<|im_end|>")
    assert "<|im_end|> may be a control token to vLLM" in done.err


def test_a_chat_that_thinks_for_too_long():
    """Catches thoughts that are printed as an answer, and silence without a word."""
    thought = {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]}
    ended = {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}
    _, done = asked_of("vllm", "chat", "hi", said=stream(thought, ended, DONE))
    assert (done.code, done.text) == (0, "\n")
    assert "tokens went into thinking, so none came" in done.err
    assert "cut off" not in done.err


def test_thoughts_of_a_server():
    """Catches thoughts that are lost, and two names for one of which both are shown."""
    pieces = [
        {"choices": [{"index": 0, "delta": delta}]}
        for delta in (
            {"reasoning_content": "Hm", "reasoning": "Hm"},
            {"reasoning": "."},
            {"content": "Yes."},
        )
    ]
    ended = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    said = stream(*pieces, ended, DONE)
    _, done = asked_of("vllm", "chat", "hi", said=said)
    assert (done.text, done.err) == ("Yes.\n", "")
    _, done = asked_of("vllm", "chat", "--show-thinking", "hi", said=said)
    assert (done.text, done.err) == ("Yes.\n", "Hm.\n")
    _, done = asked_of("vllm", "chat", "--json", "hi", said=said)
    assert '"content": "Yes."' in done.text and '"reasoning_content": "Hm."' in done.text


@pytest.mark.parametrize(
    ("server", "flags", "field", "value"),
    [
        ("library", ["--effort", "low"], "reasoning_effort", "low"),
        (
            "vllm",
            ["--no-think", "--template-set", "a=1", "--template-set", "b=x"],
            "chat_template_kwargs",
            {"enable_thinking": False, "thinking": False, "a": 1, "b": "x"},
        ),
        ("gptcli", ["--think"], "enable_thinking", True),
        ("gptcli", ["--think-budget", "9"], "thinking_budget", 9),
        ("llamacpp", ["--think-budget", "9"], "reasoning_budget_tokens", 9),
    ],
)
def test_how_a_server_is_to_think(server, flags, field, value):
    """Catches a wish that no server hears of, and one by a name that it does not know."""
    body, done = asked_of(server, "chat", *flags, "hi")
    assert body[field] == value, done.err


@pytest.mark.parametrize(("server", "told"), [("vllm", True), ("library", False)])
def test_thoughts_go_back_to_servers_with_templates(server, told):
    """Catches a thought that a template asks for in vain, and a field that a server refuses."""
    kept = Message("assistant", "Yes.", thinking="Hm.")
    sessions.save(Session("s", "m", "then", "now", (Message("user", "a"), kept)))
    body, done = asked_of(server, "chat", "--session", "s", "hi")
    assert done.code == 0, done.err
    assert body["messages"][1].get("reasoning_content") == ("Hm." if told else None)


@pytest.mark.parametrize("flags", [["--think"], ["--think-budget", "9"], ["--template-set", "a=1"]])
def test_what_a_server_cannot_be_told_of_thinking(flags):
    """Catches a wish that is passed over."""
    _, done = asked_of("library", "chat", *flags, "hi")
    assert done.code == 2 and flags[0] in done.err


def test_scores_by_echo():
    """Catches scores that stand one off behind a BOS token, and an impossible token that JSON
    cannot have a number for.
    """
    pieces = [{"id": 5, "piece": "a"}, {"id": 6, "piece": [230]}, {"id": 7, "piece": "b"}]
    logprobs = {
        "tokens": ["<s>", "a", "bytes:\\xe6", "b"],
        "token_logprobs": [None, -1.0, None, -0.5],
        "top_logprobs": [None, {"a": -1.0, "x": -2.0}, {"bytes:\\x97": -0.1}, {"b": -0.5, "c": -3}],
    }
    row = {"index": 0, "text": "a?b", "finish_reason": "length", "logprobs": logprobs}

    def answer(asked):
        if asked.method == "GET":
            return models("gptcli")
        if asked.path == "/tokenize":
            return as_json({"tokens": pieces if asked.body["content"] else []})
        assert asked.body["echo"] is True and asked.body["max_tokens"] == 0
        return as_json({"choices": [row]})

    with serving(answer) as served:
        done = run("score", "--base-url", served.url, "-m", "m", "--json", "a?b")
    assert done.code == 0, done.err
    found = json.loads(done.text)
    assert found["context_tokens"] == 1
    # Its list of models says nothing of a size.
    assert found["windows"] == {"windows": 1, "context_size": None, "stride": None}
    assert [each["logprob"] for each in found["tokens"]] == [-1.0, None, -0.5]
    assert [each["bits"] is None for each in found["tokens"]] == [False, True, False]
    assert [each["rank"] for each in found["tokens"]] == [1, None, 1]
    assert found["tokens"][1]["top_logprobs"][0]["bytes"] == [0x97]


def test_samples_are_told_apart_and_their_costs_added():
    """Catches texts of one sample in another, and the last one's usage for that of all."""
    took = {"prompt_tokens": 4, "completion_tokens": 2}
    said = stream(
        choice("a", index=1),
        choice("b"),
        choice("c", "stop", index=1) | {"usage": took},
        choice("d", "length") | {"usage": took},
        DONE,
    )
    _, done = asked_of("llamacpp", "complete", "--samples", "2", "--json", "hi", said=said)
    found = json.loads(done.text)
    assert [each["text"] for each in found["choices"]] == ["bd", "ac"]
    assert found["usage"] == {"prompt_tokens": 4, "completion_tokens": 4, "total_tokens": 8}


def with_tokens(text, *tokens, reason=None):
    content = [{"id": n, "token": name, "logprob": -1.0} for n, name in tokens]
    row = {"index": 0, "text": text, "finish_reason": reason}
    return {"choices": [row | {"logprobs": {"content": content} if content else None}]}


@pytest.mark.parametrize(
    ("events", "ids"),
    [
        # The end token with its reason, named; before it, without bytes; half a character.
        ([with_tokens("a", (1, "a")), with_tokens("", (2, "<e>"), reason="stop")], [1]),
        (
            [with_tokens("a", (1, "a")), with_tokens("", (2, "")), with_tokens("", reason="stop")],
            [1],
        ),
        (
            [with_tokens("", (1, "")), with_tokens("é", (2, "é")), with_tokens("", reason="stop")],
            [1, 2],
        ),
        ([with_tokens("a", (1, "a"), (2, "<e>"), reason="stop")], [1]),
        (
            [
                with_tokens("a", (1, "a")),
                with_tokens("", (2, "")),
                with_tokens("", reason="length"),
            ],
            [1, 2],
        ),
    ],
)
def test_what_ends_a_text_is_no_token_of_it(events, ids):
    """Catches an end token among those of the text, and half a character that is lost for one."""
    _, done = asked_of(
        "llamacpp", "complete", "--json", "--logprobs", "1", "hi", said=stream(*events, DONE)
    )
    (found,) = json.loads(done.text)["choices"]
    assert [each["id"] for each in found["logprobs"]["content"]] == ids


def test_every_server_has_a_name_of_its_own():
    """Catches two that say they are the same."""
    owners = [each.owner for each in SERVERS.values() if each.owner]
    assert len(set(owners)) == len(owners)
    assert len({each.title for each in SERVERS.values()}) == len(SERVERS)


SCHEMA = '{"type": "object"}'
CHATTED = stream(
    {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]}, DONE
)
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}


@pytest.mark.parametrize(
    ("owner", "argv", "fields"),
    [
        ("vllm", ("complete", "--json-schema", SCHEMA), {"response_format": FORMAT}),
        ("vllm", ("chat", "--json-object"), {"response_format": {"type": "json_object"}}),
        ("llamacpp", ("chat", "--json-schema", SCHEMA), {"response_format": FORMAT}),
        ("gptcli", ("complete", "--regex", "a+"), {"guided_regex": "a+"}),
        ("gptcli", ("complete", "--one-of", "a", "--repair"), {"guided_choice": ["a"]}),
        ("gptcli", ("complete", "--json-schema", SCHEMA), {"response_format": FORMAT}),
    ],
)
def test_a_constraint_in_their_words(owner, argv, fields):
    """Catches a form that is not sent, or sent as another server has it."""
    body, done = asked_of(owner, *argv, "hi", said=GOOD if argv[0] == "complete" else CHATTED)
    assert done.code == 0, done.err
    assert {name: body.get(name) for name in fields} == fields
    assert body.get("repair", False) == ("--repair" in argv)


@pytest.mark.parametrize(
    ("owner", "argv"),
    [
        ("vllm", ("complete", "--regex", "a+")),
        ("llamacpp", ("complete", "--json-object")),
        ("library", ("chat", "--one-of", "a")),
        ("somebody", ("chat", "--json-object", "--repair")),
    ],
)
def test_a_constraint_that_a_server_has_not_is_refused_by_name(owner, argv):
    """Catches a form that a server would pass over."""
    body, done = asked_of(owner, *argv, "hi")
    assert (body, done.code) == (None, 2)
    assert (argv[-1] if argv[-1].startswith("--") else argv[1]) in done.err


def test_an_answer_of_a_server_that_was_cut_off_is_not_whole():
    """Catches half of a JSON text that passes for all of it."""
    said = stream(choice("{", None), choice("", "length"), DONE)
    _, done = asked_of("vllm", "complete", "--json-object", "hi", said=said)
    assert done.code == 4
    assert "before it was whole" in done.err


def answered(text, reason="stop"):
    row = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return stream({"choices": [row]}, DONE)


@pytest.mark.parametrize(
    ("owner", "kind", "text", "printed"),
    [
        ("gptcli", "int", "42", "42\n"),
        ("gptcli", "float", "-4.5 legs", "-4.5\n"),
        ("vllm", "int", '{"value": 42}', "42\n"),
        ("llamacpp", "date", '{"value": "2024-02-29"}', "2024-02-29\n"),
        ("somebody", "float", ' {"value": 1.50}', "1.50\n"),
        ("somebody", "float", '{"value": 1e3}', "1e3\n"),
    ],
)
def test_a_value_by_a_form_of_the_answer(owner, kind, text, printed):
    """Catches a question without a form, a number that JSON writes otherwise, and an object that
    is printed for a value.
    """
    body, done = asked_of(owner, "ask", "--type", kind, "When?", said=answered(text))
    assert (done.code, done.text) == (0, printed), done.err
    assert body["temperature"] == 0
    assert body["messages"][-1] == {"role": "user", "content": "When?"}
    if owner == "gptcli":
        assert "guided_regex" in body and "response_format" not in body
    else:
        (schema,) = body["response_format"]["json_schema"]["schema"]["properties"].values()
        assert schema["type"] == {"int": "integer", "float": "number", "date": "string"}[kind]
    _, done = asked_of(owner, "ask", "--json", "--type", kind, "When?", said=answered(text))
    assert json.loads(done.text)["probability"] is None


@pytest.mark.parametrize(
    "text", ['{"value": "2023-02-29"}', '{"value": 1e999}', '{"value": 7', "x", "[]", "{}"]
)
def test_what_is_no_value_is_an_error(text):
    """Catches a day that there is none of, and half of an answer, printed to a script."""
    _, done = asked_of("vllm", "ask", "--type", "float", "How much?", said=answered(text))
    assert (done.code, done.text) == (7, "") and "that is no float" in done.err
    _, done = asked_of("vllm", "ask", "--type", "date", "When?", said=answered(text, "length"))
    assert (done.code, done.text) == (7, "")
    assert "that is no date" in done.err


@pytest.mark.parametrize(
    ("owner", "argv", "reason"),
    [
        ("llamacpp", ("--type", "bool"), "answer with a value"),
        ("vllm", ("--type", "bool", "--system", "Be brief."), "--system"),
        ("vllm", ("--type", "int", "--confidence"), "--confidence, --fail-below"),
        ("gptcli", ("--type", "date", "--fail-below", "0.5"), "--confidence, --fail-below"),
    ],
)
def test_a_value_that_a_server_cannot_give_is_refused(owner, argv, reason):
    """Catches a token that is paid for in vain, and a probability that nobody told."""
    body, done = asked_of(owner, "ask", *argv, "Is it?")
    assert (done.code, body) == (2, None)
    assert reason in done.err


def test_labels_are_scored_behind_the_question():
    """Catches labels that are compared without the question, and shares of other texts."""
    worth = {"Is it? yes": -0.5, "Is it? no": -1.5}

    def pieces(text):
        return [{"id": len(each), "piece": each} for each in re.findall(" ?[^ ]+", text)]

    def scores(text):
        tokens = [each["piece"] for each in pieces(text)]
        values = [None, *[-1.0] * (len(tokens) - 2), worth[text]]
        return {"tokens": tokens, "token_logprobs": values, "top_logprobs": None}

    def answer(asked):
        if asked.method == "GET":
            return models("gptcli")
        if asked.path == "/tokenize":
            return as_json({"tokens": pieces(asked.body["content"])})
        rows = enumerate(asked.body["prompt"])
        return as_json({"choices": [{"index": i, "logprobs": scores(text)} for i, text in rows]})

    with serving(answer) as served:
        flags = ("ask", "--base-url", served.url, "-m", "m", "--type", "bool", "Is it?")
        done = run(*flags, "--confidence")
        unsure = run(*flags, "--fail-below", "0.9")
    assert (done.code, done.text) == (0, "true\t0.731059\n"), done.err
    assert unsure.code == 9
