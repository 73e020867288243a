"""Thoughts on the command line: apart from the answer, wherever it goes and however it is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gptcli.chat import sessions
from tests.cli.helpers import run
from tests.conftest import CHAT_TEMPLATE, with_context
from tests.server.clients import CHAT, client_of, local, post, say, streamed

#: Opens a thought unless it is told not to; the tiny model, of random weights, never ends one.
TEMPLATE = CHAT_TEMPLATE.replace(
    "assistant\n{% endif",
    "assistant\n{% if enable_thinking | default(true) %}<think>\n{% else %}<think>\n\n</think>\n\n"
    "{% endif %}{{ note }}{% endif",
)
#: With one seed, so that what is asked twice is answered alike.
DRAWN = ("--seed", "5", "-n", "16", "--logit-bias", "<|end|>=-100")


@pytest.fixture(scope="module")
def model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_context(tiny_model, tmp_path_factory.mktemp("thinks") / "m", 512, TEMPLATE)


@pytest.fixture
def chat(model: Path):
    return lambda *argv, **more: run("chat", "-m", str(model), *argv, **more)


def told(done) -> tuple[str, str]:
    """What was thought and said, of --json."""
    assert done.code == 0, done.err
    message = json.loads(done.text)["choices"][0]["message"]
    return message.get("reasoning_content", ""), message["content"]


def test_a_pipe_gets_the_answer_alone(chat):
    """Catches thoughts on stdout, and such that nobody can have."""
    argv = (*DRAWN, "--think-budget", "4", "the cat")
    thought, said = told(chat("--json", *argv))
    assert thought and said and "think" not in thought + said
    plain = chat(*argv)
    assert (plain.text, plain.err) == (f"{said}\n", plain.err)
    assert thought not in plain.err
    shown = chat("--show-thinking", *argv)
    assert shown.text == plain.text
    assert shown.err.startswith(f"{thought}\n")
    assert chat("--hide-thinking", *argv).err == plain.err
    lines = chat("--json", "--stream", *argv).text.splitlines()
    deltas = [c["delta"] for each in map(json.loads, lines) for c in each["choices"]]
    assert "".join(each.get("reasoning_content", "") for each in deltas) == thought
    assert "".join(each.get("content", "") for each in deltas) == said


def test_a_terminal_shows_thoughts(chat):
    """Catches thoughts that a person does not see, or sees though he is not to."""
    argv = (*DRAWN, "--think-budget", "4", "the cat")
    thought, said = told(chat("--json", *argv))
    shown = chat(*argv, terminal=True)
    assert (shown.text, shown.err.startswith(f"{thought}\n")) == (f"{said}\n", True)
    for flag in ("--hide-thinking", "-q"):
        assert thought not in chat(flag, *argv, terminal=True).err


def test_the_limit_counts_thoughts_and_says_so(chat):
    """Catches an empty answer without a word, or with two."""
    done = chat(*DRAWN, "the cat")
    assert done.text == "\n"
    assert done.err == (
        "gptcli: hint: answer: all 16 tokens went into thinking, so none came; -n allows more of"
        " them, --think-budget fewer thoughts\n"
    )
    stats = chat(*DRAWN, "--stats", "--think-budget", "4", "the cat").err
    # Those of the closing mark are thought as well: the tiny model has no token for it.
    assert "generated: 16 tokens (" in stats and " of them thought)" in stats


def test_the_template_is_told(chat):
    """Catches a switch that the document does not show, and one that is passed over."""
    assert chat("--show-prompt", "the cat").text.endswith("assistant\n<think>\n")
    off = chat("--show-prompt", "--no-think", "the cat").text
    assert off.endswith("assistant\n<think>\n\n</think>\n\n")
    same = chat("--show-prompt", "--template-set", "enable_thinking=false", "the cat").text
    assert same == off
    assert chat("--show-prompt", "--template-set", "note=a b", "x").text.endswith("<think>\na b")
    assert told(chat("--json", "--no-think", *DRAWN, "the cat"))[0] == ""
    refused = {
        ("--effort", "low"): "--effort: the chat template reads none of reasoning_effort",
        ("--template-set", "no=1"): "--template-set: the chat template reads no no",
        ("--template-set", "messages=1"): "messages is not for anybody to set",
        ("--template-set", "x"): "--template-set: must be KEY=VALUE",
        ("--think", "--user-name", "A"): "--think: is for a chat template",
        ("--think-budget", "2", "--user-name", "A"): "--think-budget: nothing shows how",
        ("--effort", "huge"): "--effort: must be one of low, medium, high",
        ("--think", "-m", "echo"): "--think: is for a model that thinks",
    }
    for flags, reason in refused.items():
        done = chat(*flags, "the cat")
        assert (done.code, reason in done.err) == (2, True), done.err


def test_answers_are_the_same_alone_in_a_batch_and_served(chat, model, tmp_path):
    """Catches a budget that holds at one place and not at the other."""
    alone = told(chat("--json", *DRAWN, "--think-budget", "3", "the cat"))
    rows = [
        {"message": "the cat", "seed": 5, "thinking_budget": 3, "logit_bias": "<|end|>=-100"},
        {"message": "the dog", "seed": 6, "enable_thinking": False},
        {"message": "the dog", "reasoning_effort": "low"},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    done = chat("--batch", str(tmp_path / "rows.jsonl"), "-n", "16")
    assert done.code == 2, done.err
    first, second, third = map(json.loads, done.text.splitlines())
    message = first["choices"][0]["message"]
    assert (message["reasoning_content"], message["content"]) == alone
    assert "reasoning_content" not in second["choices"][0]["message"]
    assert "--effort" in third["error"]["message"]
    from gptcli.text.tokenizer import Tokenizer

    end = str(Tokenizer(model).id_of("<|end|>"))
    body = {"messages": say("the cat"), "seed": 5, "max_tokens": 16, "thinking_budget": 3}
    body["logit_bias"] = {end: -100}
    with client_of(local(model)) as client:
        message = post(client, CHAT, **body)["choices"][0]["message"]
        assert (message["reasoning_content"], message["content"]) == alone
        deltas = [each["choices"][0]["delta"] for each in streamed(client, CHAT, **body)]
        assert "".join(each.get("reasoning_content", "") for each in deltas) == alone[0]
        off = post(client, CHAT, **body | {"chat_template_kwargs": {"enable_thinking": False}})
        assert "reasoning_content" not in off["choices"][0]["message"]


def test_a_session_keeps_thoughts_and_how_to_think(chat):
    """Catches thoughts in an answer that is kept, and a session that goes on otherwise."""
    flags = ("--think-budget", "3", "--template-set", "note=")
    said = told(chat("--json", "--session", "s", *DRAWN, *flags, "the cat"))
    kept = sessions.load("s")
    assert kept is not None
    last = kept.messages[-1]
    assert (last.thinking, last.content) == said
    assert kept.settings["think_budget"] == 3
    assert kept.settings["template_set"] == ["note="]
    again = json.loads(chat("--json", "--session", "s", "--no-think", "the dog").text)
    assert "reasoning_content" not in again["choices"][0]["message"]
    kept = sessions.load("s")
    assert kept is not None and kept.settings["think"] is False
    shown = chat("--session", "s", "--show-prompt", "so").text
    assert said[0] not in shown and shown.endswith("<think>\n\n</think>\n\n")


def test_few_shot_asks_for_answers_without_thoughts(model):
    """Catches an answer in the manner of examples that are none: they do not think."""
    argv = ("few-shot", "-m", str(model), "--example", "a", "b")
    off = run(*argv, "--as-chat", "--show-prompt", "c").text
    assert off.endswith("<think>\n\n</think>\n\n")
    on = run(*argv, "--as-chat", "--think", "--show-prompt", "c").text
    assert on.endswith("assistant\n<think>\n")
    answer = run(*argv, "--as-chat", "--think", "--json", "-n", "4", "c")
    assert json.loads(answer.text)["answer"] == ""
    assert json.loads(answer.text)["reasoning_content"]
    done = run(*argv, "--think", "c")
    assert (done.code, "--think: needs --as-chat" in done.err) == (2, True)
    # Labels are compared where an answer would begin, whatever the template has opened.
    shares = json.loads(
        run(*argv, "--as-chat", "--think", "--label", "a", "--label", "b", "--json", "c").text
    )
    assert sum(each["probability"] for each in shares["labels"]) == pytest.approx(1)


def test_models_show_tells_how_a_model_thinks(model, chat_model):
    """Catches a form that nobody can learn of, and one that a plain model is said to have."""
    row = "thinking\t<think> … </think>, opened by the template; told by enable_thinking\n"
    assert row in run("models", "show", str(model)).text
    found = json.loads(run("models", "show", "--json", str(model)).text)["thinking"]
    assert found == {
        "marks": "<think> … </think>",
        "begins": "thinking",
        "switches": ["enable_thinking"],
    }
    assert "thinking" not in run("models", "show", str(chat_model)).text
