"""A chat's lines and commands, without a terminal: typed lines in, what is shown out."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.chat import sessions
from gptcli.chat.talk import Talk
from gptcli.cli.environment import Environment
from gptcli.cli.repl.commands import COMMANDS, arguments_of
from gptcli.cli.repl.loop import Repl
from gptcli.types.chat import ChatRequest, Message
from gptcli.types.compute import Compute
from gptcli.types.models import ModelDir
from gptcli.types.sampling import SamplingWish
from gptcli.ui.views.thinking import ThinkingView
from tests.cli.helpers import run


class Typed:
    """Lines of a person who leaves at the end; an exception among them is raised."""

    def __init__(self, lines: list[str | BaseException], edited: str = "") -> None:
        self._lines, self._edited = iter(lines), edited
        self.was: str | None = None

    def read(self, prompt: str = "> ") -> str:
        line = next(self._lines, EOFError())
        if isinstance(line, BaseException):
            raise line
        return line

    def edit(self, text: str) -> str:
        self.was = text
        return self._edited


@dataclass
class Chat:
    """A talk with the tiny model, and what typing gives."""

    talk: Talk
    lines: Typed
    out: str = ""
    err: str = ""

    @property
    def said(self) -> list[tuple[str, str]]:
        return [(each.role, each.content) for each in self.talk.messages]

    @property
    def usage(self):
        assert self.talk.last_usage is not None
        return self.talk.last_usage


@pytest.fixture(scope="module")
def model(chat_model: Path) -> OpenModel:
    return OpenModel(ModelDir("tiny", chat_model, "test"), Compute(device="cpu"))


@pytest.fixture
def chat(model) -> Callable[..., Chat]:
    """Type lines into a chat, a new one or one that is given.

    Answers are of letters that no token has in company, so that encoding them again gives the ids
    that were drawn.
    """
    lone = {model.tokenizer.id_of(letter) for letter in "bfijkpquvwxz"}
    size = model.runner.spec.vocab
    biases = tuple((str(i), float("-inf")) for i in range(size) if i not in lone)

    def type_(*lines: str | BaseException, on: Chat | None = None, edited: str = "") -> Chat:
        wish = SamplingWish(temperature=0.0, logit_bias=biases)
        request = ChatRequest((), sampling=wish, max_new_tokens=6, seed=4)
        backend = LocalBackend(model)
        talk = on.talk if on else Talk(lambda: backend, request, model="tiny")
        typed, out, errors = Typed(list(lines), edited), io.StringIO(), io.StringIO()
        environment = Environment(None, out, errors, os.environ)
        thoughts = ThinkingView(environment.stderr, "shown")
        Repl(environment, talk, typed, environment.messages(), thoughts).run()
        if on is None:
            talk.keeping.close()
        return Chat(talk, typed, out.getvalue(), errors.getvalue())

    return type_


def test_an_answer_is_shown_and_kept(chat):
    """Catches an answer that is shown otherwise than it is kept, and a turn that is lost."""
    found = chat("the cat", "", "the dog")
    assert [role for role, _ in found.said] == ["user", "assistant"] * 2
    assert found.out == "".join(text + "\n" for role, text in found.said if role == "assistant")


def test_every_command_has_help_and_does_something(chat):
    """Catches a command of the table without a method, and one that /help leaves out."""
    help_ = chat("/help").out
    for name in COMMANDS:
        assert f"/{name}\t" in help_
        assert "bug" not in chat(f"/{name}").err
    assert chat("/?").out == help_


@pytest.mark.parametrize("leave", ["/exit", "/bye", "/quit"])
def test_leaving(chat, leave):
    """Catches a way to leave that is taken for a message, or does not leave."""
    assert chat(leave, "the cat").said == []


def test_mistakes_are_told_and_the_chat_goes_on(chat):
    """Catches an error that ends the chat, and one that names nothing."""
    bad = {
        "/foo": "/foo: there is no such command (/help lists them",
        "/hlep": "did you mean /help?",
        "/set foo 1": "/set foo: is no setting (known: temperature",
        "/set top-k x": "/set top-k: must be a whole number",
        "/set temperature": "/set temperature: ",
        "/set on-overflow x": "must be one of error, drop-oldest",
        "/show foo": "is none of messages, prompt, settings, system",
        "/top 0": "must be a number from 1 to 1000",
        "/top x": "must be a number from 1 to 1000",
        "/undo": "has no message that could be taken back",
        "/regen": "has no message that could be taken back",
        "/edit": "there is no message yet",
        "/top": "nothing was said yet",
        "/show prompt": "nothing was said yet",
        "/stats": "there was no answer yet",
        "/save": "needs a file or the name of a session",
        "/load": "needs a file or the name of a session",
        "/load nothing": "there is no such session",
        "/load nothing.json": "nothing.json: No such file or directory",
        "/load a b": "can be no name",
        "/save no/such/place.json": "No such file or directory",
        "/file nothing.txt": "nothing.txt: No such file or directory",
        "/file /": "/: is not a file",
        "/model other": "/model: there is but one here",
    }
    for line, reason in bad.items():
        found = chat(line)
        assert found.err.count("\n") == 1, line
        assert found.err.startswith("gptcli: error: ") and reason in found.err, line
    assert len(chat(*bad, "the cat").said) == 2


def test_a_message_may_begin_with_a_slash_after_a_space(chat):
    """Catches text about a path that cannot be said."""
    assert chat(" /usr is").said[0] == ("user", " /usr is")


def test_quotes_hold_a_message_together(chat):
    """Catches quotes that are sent, lines that are lost, and a command made of what is quoted."""
    cases = {
        ('"""one', "  two", '"""'): "one\n  two",
        ('"""', "one", "", 'two"""  '): "one\n\ntwo",
        ('"""/help"""',): "/help",
        ('"""', "/exit", '"""'): "/exit",
    }
    for lines, message in cases.items():
        assert chat(*lines).said[0] == ("user", message)
    stopped = chat('"""one', KeyboardInterrupt(), "two")
    assert [content for role, content in stopped.said if role == "user"] == ["two"]
    assert chat('"""one').said == []


def test_undo_takes_the_last_turn_back(chat):
    """Catches an answer that stays without its message, or two turns taken back."""
    found = chat("the cat", "the dog", "/undo")
    assert found.said == chat("the cat").said
    assert "taken back: the dog" in found.err


def test_clear_keeps_the_system_prompt(chat):
    """Catches a scene that is lost with what was said in it."""
    assert chat("/system Be brief.", "the cat", "/clear").said == [("system", "Be brief.")]


def test_regen_draws_another_answer(chat):
    """Catches a second draw with the first one's seed, and a message that is there twice."""
    found = chat("/set temperature 2", "the cat", "/regen")
    first, second = found.out.splitlines()[-2:]
    assert first != second
    assert [role for role, _ in found.said] == ["user", "assistant"]
    assert found.said[1][1] == second


def test_the_seed_that_is_set_draws_the_next_answer(chat):
    """Catches /set seed that holds from the turn after next, or for a whole chat alike."""
    found = chat("/set temperature 2", "/set seed 9", "the cat", "/undo", "/set seed 9", "the cat")
    one, other = found.out.splitlines()[-2:]
    assert one == other
    assert chat("/set seed 9", "the cat", "/set").out.splitlines()[-2] == "seed\t10"


def test_edit_sends_the_message_anew(chat):
    """Catches an old message that stays, and an edit that is sent without a look."""
    found = chat("the cat", "/edit", edited="the dog")
    assert found.lines.was == "the cat"
    assert found.said == chat("the dog").said
    empty = chat("the cat", "/edit", edited=" \n")
    assert "nothing was changed" in empty.err and empty.said == chat("the cat").said


def test_a_turn_sent_again_that_fails_leaves_all_as_it_was(chat):
    """Catches a message that is lost with /edit or /regen where the new one does not fit."""
    found = chat("the cat", "/edit", edited="the cat sat " * 200)
    assert "leave no room" in found.err
    assert found.said == chat("the cat").said


def test_system_prompts_are_set_shown_and_removed(chat):
    """Catches a system prompt that comes second, twice, or cannot be got rid of."""
    found = chat("/system One.", "the cat", "/system Two.", "/system", "/show system")
    assert found.said[0] == ("system", "Two.")
    assert found.out.endswith("system:\nTwo.\n" * 2)
    assert [role for role, _ in found.said] == ["system", "user", "assistant"]
    assert chat("/set system", "/system", on=found).err.count("no system prompt is set") == 1


def test_settings_hold_for_the_answers_to_come(chat):
    """Catches a setting that is listed but not used, or changed but not told."""
    found = chat("/set max_new_tokens 2", "/set top-k 7", "the cat", "/set")
    assert found.usage.completion_tokens == 2
    assert found.usage.sampling.top_k == 7
    assert "max-new-tokens\t2\n" in found.out and "top-k\t7\n" in found.out
    assert "max_new_tokens: 2" in found.err
    assert "cut off after 2 tokens; /set max-new-tokens allows more" in found.err


def test_where_the_context_is_full_turns_can_be_left_out(chat):
    """Catches a chat that is stuck for good once its context is full."""
    long = "the cat sat on the mat " * 9
    found = chat("/system Be brief.", *[long] * 9, "short")
    assert "leave no room" in found.err
    more = chat("/set on-overflow drop-oldest", "short", on=found)
    assert "oldest messages" in more.err and more.said[-2] == ("user", "short")
    assert more.said[0] == ("system", "Be brief.")


def test_show(chat):
    """Catches messages shown otherwise than they are, and a document that is not the model's."""
    found = chat("/system S", "the cat", "/show")
    assert found.out.endswith(f"system:\nS\n\nuser:\nthe cat\n\nassistant:\n{found.said[2][1]}\n")
    shown = chat("/show prompt", on=found).out
    assert shown == (
        "<|role|>system\nS<|end|>\n<|role|>user\nthe cat<|end|>\n"
        f"<|role|>assistant\n{found.said[2][1]}<|end|>\n"
    )


def test_top_is_what_would_be_drawn_next(chat):
    """Catches probabilities of another place than right after the last answer."""
    found = chat("/set max-new-tokens 1", "the cat", "/top 300")
    rows = [line.split("\t") for line in found.out.splitlines()[2:]]
    (drawn,) = (row for row in rows if row[6] == "1")
    longer = chat("/set max-new-tokens 2", "the cat")
    assert longer.said[1][1] == found.said[1][1] + drawn[1]


def test_what_is_saved_is_loaded(chat, tmp_path, monkeypatch):
    """Catches a file or a session that loses messages or settings on the way."""
    monkeypatch.chdir(tmp_path)
    found = chat("/system S", "/set top-p 0.5", "the cat", "/save one", "/save a.json")
    assert "saved as session one" in found.err and "saved to a.json" in found.err
    for name in ("one", "a.json"):
        fresh = chat(f"/load {name}", "/set")
        assert fresh.said == found.said
        assert "top-p\t0.5\n" in fresh.out
    assert [each.name for each in sessions.list_sessions()] == ["one"]
    chat("/save a.md", on=found)
    assert (tmp_path / "a.md").read_text().startswith("# a\n")


def test_a_kept_chat_is_not_saved_over_itself(chat, model):
    """Catches /save of the chat's own session that finds it in use."""
    backend = LocalBackend(model)
    talk = Talk(lambda: backend, ChatRequest(()), model="tiny")
    talk.keeping.open("one")
    assert "kept after every turn" in chat("/save one", on=Chat(talk, Typed([]))).err


def test_ctrl_c_stops_the_answer_and_keeps_the_chat(chat, monkeypatch):
    """Catches a Ctrl-C that leaves, loses the message, or breaks the KV cache for later turns."""
    found = chat("the cat")
    stream, talk = LocalBackend.answer, found.talk

    def broken(self, request):
        for place, event in enumerate(stream(self, request)):
            if place == 2:
                raise KeyboardInterrupt
            yield event

    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, "answer", broken)
        stopped = chat("the dog", on=found)
    assert "stopped" in stopped.err
    assert stopped.said[2] == ("user", "the dog")
    assert stopped.said[3][1]
    after = chat("the log", on=stopped)
    fresh = LocalBackend(OpenModel(ModelDir("tiny", talk._open()._open.path, "test"), Compute()))
    asked = replace(talk.request, messages=talk.messages[:-1], seed=talk.request.seed + 2)
    expected = "".join(e.text for e in fresh.answer(asked) if hasattr(e, "text"))
    assert after.said[-1] == ("assistant", expected)


def test_ctrl_c_before_a_word_takes_the_message_back(chat, monkeypatch):
    """Catches a message without an answer, which the next one would follow."""

    def broken(self, request):
        raise KeyboardInterrupt
        yield

    found = chat("the cat")
    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, "answer", broken)
        assert chat("the dog", on=found).said == found.said
        assert chat("/regen", on=found).said == found.said


def test_ctrl_c_at_an_empty_line_does_not_leave(chat):
    """Catches a second Ctrl-C, a moment too late for the answer, that ends the chat."""
    found = chat(KeyboardInterrupt(), "the cat")
    assert "Ctrl-D or /exit leaves" in found.err and len(found.said) == 2


def test_stats_tell_what_was_reused(chat):
    """Catches turns that are computed again: only what is new should be."""
    first = chat("the cat")
    prompt = first.usage.prompt_tokens
    found = chat("the dog", "/stats", on=first)
    usage = found.usage
    # All of the answer but its last token, which no other followed, has run.
    assert usage.reused_tokens == prompt + 6 - 1
    told = f"prompt: {usage.prompt_tokens} tokens ({prompt + 5} of them reused)"
    assert told in found.err
    again = chat("/regen", on=found).usage
    assert again.reused_tokens == again.prompt_tokens - 1 == usage.prompt_tokens - 1
    back = chat("/undo", "/undo", "the cat", on=found).usage
    assert back.reused_tokens == back.prompt_tokens - 1 == prompt - 1


def test_what_may_follow_a_command():
    """Catches settings, sessions and views that TAB does not know."""
    sessions.save(sessions.Session("one", "m", "", "", (Message("user", "a"),)))
    assert list(arguments_of("load")) == ["one"]
    assert "temperature" in arguments_of("set") and "on-overflow" in arguments_of("set")
    assert "prompt" in arguments_of("show") and list(arguments_of("help")) == []


def test_json_of_a_saved_file_is_openais_messages(chat, tmp_path):
    """Catches a format that other programs cannot read."""
    path = tmp_path / "a.json"
    found = chat("the cat", f"/save {path}")
    messages = json.loads(path.read_text())["messages"]
    assert [(each["role"], each["content"]) for each in messages] == found.said
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_chat_needs_a_terminal_for_its_answers():
    """Catches a conversation whose prompts go into a file."""
    done = run("chat", "-m", "echo", stdin=None)
    assert done.code == 2 and "message: is missing" in done.err
    done = run("chat", "-m", "echo", "--json", stdin=None, terminal=True)
    assert done.code == 2 and "--json: needs a message" in done.err


def test_thinking_is_told_and_seen_as_it_is_set(chat):
    """Catches a word that is passed over, and a switch of a template that has none."""
    found = chat("/think", "/think hide", "/think show", "/think on", "/think low", "/think foo")
    assert "thinking: as the template has it, shown" in found.err
    assert "thinking: as the template has it, folded" in found.err
    assert "--think: the chat template reads none of enable_thinking" in found.err
    assert "--effort: the chat template reads none of reasoning_effort" in found.err
    assert "/think foo: is none of on, off, auto, low, medium, high, show, hide" in found.err
    assert found.talk.request.form.told == ()
    assert arguments_of("think")[:3] == ("on", "off", "auto")


def test_a_budget_of_thoughts_is_set(chat):
    """Catches a budget that is not listed, or not kept with a conversation."""
    found = chat("/set think-budget 7", "/set", "/set think-budget x", "/save budget")
    assert "think-budget\t7\n" in found.out
    assert "/set think-budget: must be a whole number" in found.err
    kept = sessions.load("budget")
    assert kept is not None and kept.settings["think_budget"] == 7
    found.talk.request = replace(found.talk.request, think_budget=None)
    again = chat("/load budget", on=found)
    assert again.talk.request.think_budget == 7
