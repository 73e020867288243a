"""`/file` and `/model` of a chat, and `--continue`: what goes before a message, who answers it."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gptcli.chat import sessions
from gptcli.chat.keeping import Keeping
from gptcli.chat.talk import Talk, Timed
from gptcli.cli.environment import Environment
from gptcli.cli.opening import open_for
from gptcli.cli.repl import attached
from gptcli.cli.repl.commands import arguments_of
from gptcli.cli.repl.loop import Repl
from gptcli.cli.repl.switching import Switching
from gptcli.types.chat import ChatForm, ChatRequest
from gptcli.types.compute import Compute
from gptcli.types.models import AdapterRef
from gptcli.types.prompt_cache import PromptCache
from gptcli.ui.views.thinking import ThinkingView
from tests.cli.flags.test_steer import write as write_vector
from tests.cli.helpers import run
from tests.cli.repl.test_repl import Typed
from tests.cli.test_bad_input import assert_one_line

Type = Callable[..., tuple[Talk, str]]


@pytest.fixture
def type_() -> Type:
    """Type lines into a chat, first with the model of a name; the talk, and stderr."""

    def typed(
        *lines: str,
        model: str = "echo",
        form: ChatForm | None = None,
        session: str | None = None,
        on: Talk | None = None,
        adapter: tuple[AdapterRef, ...] = (),
    ) -> tuple[Talk, str]:
        environment = Environment(None, io.StringIO(), io.StringIO(), os.environ)
        messages = environment.messages()
        compute = Compute(model=model, device="cpu", no_server=True)
        request = ChatRequest((), form=form or ChatForm(), max_new_tokens=3, seed=1)
        keeping = Keeping(model, adapter)
        if session:
            keeping.open(session)
        open_ = Timed(lambda: open_for(compute, messages))
        talk = on or Talk(open_, request, model=model, keeping=keeping)
        with_adapters = Compute(**{**compute.__dict__, "adapter": adapter})
        switching = Switching(with_adapters, PromptCache(), messages)
        thoughts = ThinkingView(environment.stderr, "shown")
        said = Typed(list(lines))
        Repl(environment, talk, said, messages, thoughts, switching=switching).run()
        keeping.close()
        return talk, environment.stderr.getvalue()  # type: ignore[attr-defined]

    return typed


def contents(talk: Talk, role: str) -> list[str]:
    return [each.content for each in talk.messages if each.role == role]


def test_a_file_goes_before_the_next_message(type_: Type, tmp_path: Path) -> None:
    """Catches a file that is lost, sent twice, or comes after what is asked of it."""
    one, two = tmp_path / "one 1.txt", tmp_path / "two.txt"
    one.write_text("\ufeffa b\n")
    two.write_text("\x1b[2J\r\n")
    talk, err = type_(f"/file {one}", f"/file {two}", "/file", "what?", "and?", "/file")
    assert contents(talk, "user") == ["a b\n\x1b[2J\nwhat?", "and?"]
    assert err.count(f"before the next message: {one}, {two} (7 characters)") == 2
    assert "no file waits" in err and "\x1b" not in err
    assert contents(type_(f"/file {one}", "/clear", "x")[0], "user") == ["x"]


def test_a_file_waits_until_a_message_with_it_is_kept(type_: Type, tmp_path: Path) -> None:
    """Catches a file that a failure has eaten, which the next message then goes without."""
    file = tmp_path / "a.txt"
    file.write_text("text")
    form = ChatForm(think=True)
    talk, err = type_(f"/file {file}", "x", "/think auto", "y", form=form)
    assert "echo has no thoughts" in err and contents(talk, "user") == ["text\ny"]


def test_what_is_no_text_is_refused(type_: Type, tmp_path: Path, monkeypatch) -> None:
    """Catches bytes that become a message, a pipe that is waited for, memory that is filled."""
    monkeypatch.setattr(attached, "_LARGEST", 99)
    files = {"nul": b"a\0b", "latin": b"\xe9", "large": b"a" * 100}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    os.mkfifo(tmp_path / "pipe")
    reasons = {
        "nul": "is binary: it holds NUL bytes",
        "latin": "is not UTF-8: byte 0xe9 at offset 0",
        "large": "is larger than",
        "pipe": "is not a file",
        "none": "No such file or directory",
    }
    for name, reason in reasons.items():
        talk, err = type_(f"/file {tmp_path / name}", "x")
        assert err.splitlines()[0].startswith(f"gptcli: error: {tmp_path / name}: {reason}")
        assert contents(talk, "user") == ["x"]


def test_another_model_goes_on(type_: Type, chat_model: Path, base_model: Path) -> None:
    """Catches a conversation that is lost, a name that is not kept, answers of the old model."""
    model = str(chat_model)
    talk, err = type_("one two", "/regen", f"/model {model}", "three", "/model", session="s")
    assert contents(talk, "user") == ["one two", "three"]
    assert contents(talk, "assistant")[0] == " one two one"
    assert contents(talk, "assistant")[1] != " three three three"
    assert f"gptcli: {model} goes on\n" in err and f"gptcli: {model}; /model NAME" in err
    assert talk.last_usage is not None and talk.last_usage.source.model != "echo"
    kept = sessions.load("s")
    assert kept is not None and kept.model == model and len(kept.messages) == 4
    talk, err = type_(f"/model {base_model}", "four", on=talk)
    assert len(contents(talk, "user")) == 3 and "error" not in err


def test_a_session_knows_of_it_at_once(type_: Type, chat_model: Path) -> None:
    """Catches a chat that is left before the next turn and goes on with the model before."""
    type_("one two", f"/model {chat_model}", session="s")
    kept = sessions.load("s")
    assert kept is not None and kept.model == str(chat_model)
    type_(f"/model {chat_model}", session="nothing-said")
    assert sessions.load("nothing-said") is None


def test_where_it_fails_the_old_one_stays(type_: Type, chat_model: Path, tmp_path: Path) -> None:
    """Catches a chat that nobody answers after a name that was misspelt."""
    (tmp_path / "broken").mkdir()
    for name, reason in (
        ("nonsense", "unknown model"),
        (str(tmp_path / "broken"), "config.json"),
        ("./nowhere", "no such file"),
    ):
        talk, err = type_(f"/model {name}", "a b c")
        assert err.startswith("gptcli: error: ") and reason in err
        assert talk.model == "echo" and contents(talk, "assistant") == [" a b c"]
    # A template that cannot be told to think.
    form = ChatForm(think=True)
    talk, err = type_(f"/model {chat_model}", "/think auto", "a b c", form=form)
    assert "gptcli: error: --think: " in err
    assert talk.model == "echo" and contents(talk, "assistant") == [" a b c"]


def test_adapters_stay_behind(type_: Type, chat_model: Path, tmp_path: Path) -> None:
    """Catches an adapter of one model that is put into another, or is kept as if it were."""
    adapter = (AdapterRef(tmp_path, 1.0),)
    _, err = type_("a", f"/model {chat_model}", session="s", adapter=adapter)
    assert f"{chat_model} goes on, without the adapters" in err
    kept = sessions.load("s")
    assert kept is not None and "adapters" not in kept.settings


def test_a_chat_is_steered_and_goes_on_so(type_: Type, chat_model: Path, tmp_path: Path) -> None:
    """Catches answers that are not steered, or still are; a vector that replaces where it was to be
    added, a session that goes on without it, and a failure that leaves a chat of nobody."""
    vector, model = tmp_path / "v.gguf", str(chat_model)
    write_vector(vector, 1)
    talk, err = type_("one", f"/steer {vector}=9", "/regen", "/steer", model=model, session="s")
    assert err.count(f"gptcli: steered by {vector}=9\n") == 2
    assert talk.last_usage is not None and talk.last_usage.source.steering == (f"{vector}=9",)
    kept = sessions.load("s")
    assert kept is not None and kept.settings["steering"] == [f"{vector}=9"]
    argv = ("chat", "-m", model, "-n", "3", "--seed", "1", "--json")
    steered = json.loads(run(*argv, "--session", "s", "two").text)
    assert steered["steering"] == [f"{vector}=9"]
    _, err = type_("/steer", f"/steer + {vector}@1:", f"/steer {vector}@9:", "/steer", model=model)
    assert "nothing steers" in err and err.count(f"steered by {vector}@1:\n") == 2
    assert "gptcli: error: --steer: " in err and "leaves nothing" in err
    talk, err = type_(f"/steer {vector}", "/steer off", "one", f"/steer {vector}=x", model=model)
    assert talk.last_usage is not None and not talk.last_usage.source.steering
    assert "gptcli: error: /steer: must be FILE" in err
    _, err = type_(f"/steer {vector}", f"/model {model}", "/steer", model=model)
    assert f"{model} goes on, without what steers" in err and "nothing steers" in err


def test_names_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a command whose words are not offered."""
    for name in ("b.txt", "a.txt", ".hidden"):
        (tmp_path / name).write_text("")
    (tmp_path / "c").mkdir()
    monkeypatch.chdir(tmp_path)
    assert arguments_of("file") == ["a.txt", "b.txt"]
    assert "smollm2" in arguments_of("model")


def test_the_last_one_goes_on(own_home: Path) -> None:
    """Catches another conversation than the one that was kept last, and a new one in silence."""
    chat = ("chat", "-m", "echo", "-n", "1")
    assert_one_line(run(*chat, "--continue", "x"), 2, "--continue: there is no kept conversation")
    for name in ("b", "a", "c"):
        assert run(*chat, "--session", name, name).code == 0
        time.sleep(0.02)
    assert run(*chat, "--session", "a", "more").code == 0
    assert run(*chat, "--continue", "again").code == 0
    said = json.loads(run("sessions", "export", "a").text)["messages"]
    assert [each["content"] for each in said if each["role"] == "user"] == ["a", "more", "again"]
    both = run(*chat, "--continue", "--session", "a", "x")
    assert_one_line(both, 2, "--continue: cannot be combined with --session")
