"""Nothing that a person wrote disappears without their word, and a session goes on as it was."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gptcli.backends import ECHO
from gptcli.backends.echo import EchoBackend
from gptcli.chat import sessions
from gptcli.chat.talk import Talk
from gptcli.cli.environment import Environment
from gptcli.cli.repl.loop import Repl
from gptcli.errors import InputError
from gptcli.types.chat import ChatRequest, Message
from gptcli.ui.views.thinking import ThinkingView
from tests.cli.helpers import run
from tests.cli.repl.test_repl import Typed


@pytest.fixture
def chat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Talk, str]]:
    """Type lines into a chat with what repeats them, in a session or in none; what stderr says."""
    monkeypatch.chdir(tmp_path)

    def type_(*lines: str, session: str | None = None) -> tuple[Talk, str]:
        backend, errors = EchoBackend(), io.StringIO()
        talk = Talk(lambda: backend, ChatRequest(()), model=ECHO)
        if session is not None and (found := talk.keeping.open(session)):
            talk.go_on(found)
        environment = Environment(None, io.StringIO(), errors, os.environ)
        thoughts = ThinkingView(environment.stderr, "shown")
        Repl(environment, talk, Typed(list(lines)), environment.messages(), thoughts).run()
        talk.keeping.close()
        return talk, errors.getvalue()

    return type_


def said(name: str) -> list[str]:
    found = sessions.load(name)
    assert found is not None
    return [message.content.strip() for message in found.messages if message.role == "user"]


def test_loading_another_session_leaves_the_one_before(chat) -> None:
    """/load b in session a wrote b's conversation over a's."""
    chat("in a", session="a")
    chat("in b", session="b")
    _, told = chat("/load b", "more", session="a")
    assert (said("a"), said("b")) == (["in a"], ["in b", "more"])
    assert "session b goes on here, a stays as it was" in told
    _, told = chat("/load a", "/load b", "/undo", session="b")
    assert (said("a"), said("b")) == (["in a"], ["in b"])


def test_loading_a_file_leaves_the_session(chat) -> None:
    """The same with a file, which wrote its conversation over the session's."""
    chat("in a file", "/save x.json")
    _, told = chat("in a", "/load x.json", "more", session="a")
    assert said("a") == ["in a"] and "from here on it is not kept, a stays as it was" in told


def test_a_session_in_use_is_not_taken(chat) -> None:
    """Two terminals: /load in the one took what the other was writing."""
    chat("in b", session="b")
    with sessions.held("b"):
        _, told = chat("/load b", "more", session="a")
    assert "session b: is in use by another gptcli" in told
    assert (said("a"), said("b")) == (["more"], ["in b"])


def test_a_session_that_cannot_be_loaded_changes_nothing(chat) -> None:
    """A broken setting, after the session before was left: what follows was kept nowhere."""
    chat("in b", session="b")
    path = sessions.store.directory() / "b.json"
    path.write_text(path.read_text().replace('"seed": ', '"seed": "x", "was": '))
    _, told = chat("in a", "/load b", "more", session="a")
    assert "session b: seed must be a whole number" in told
    assert said("a") == ["in a", "more"]
    with sessions.held("b"):
        pass


def test_what_is_kept_nowhere_is_not_loaded_over(chat) -> None:
    """A long talk without a session, gone with one word."""
    chat("in b", session="b")
    talk, told = chat("only here", "/load b")
    assert "what was said here is kept nowhere (/save NAME keeps it, /clear forgets it)" in told
    assert talk.messages[0].content == "only here"
    for forget in ("/save c", "/save c.json", "/save c.md", "/clear"):
        talk, told = chat("only here", forget, "/load b")
        assert talk.messages[0].content == "in b", forget
        (sessions.store.directory() / "c.json").unlink(missing_ok=True)
        for name in ("c.json", "c.md"):
            Path(name).unlink(missing_ok=True)


@pytest.mark.parametrize("line", ["/regen", "/edit"])
def test_a_turn_stays_until_another_takes_its_place(
    chat, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the new answer came, the session had lost the message and the old one."""
    chat("one", session="a")
    seen = []
    answer = EchoBackend.answer

    def looked(self, request):
        seen.append(said("a"))
        yield from answer(self, request)

    monkeypatch.setattr(EchoBackend, "answer", looked)
    monkeypatch.setattr(Typed, "edit", lambda *_: "two")
    chat(line, session="a")
    assert seen == [["one"]]
    assert said("a") == [{"/regen": "one", "/edit": "two"}[line]]


@pytest.mark.parametrize("name", ["b", "b.json", "b.md"])
def test_saving_replaces_nothing_else(chat, name: str) -> None:
    """/save NAME replaced another conversation, and /save FILE any file."""
    chat("in b", f"/save {name}")
    _, told = chat("else", f"/save {name}")
    assert f"/save {name}: is there already and holds something else" in told
    talk, _ = chat(f"/load {name}")
    assert talk.messages[0].content == "in b"


def test_saving_replaces_no_file_of_another_kind(chat) -> None:
    """Notes of a person's own in Markdown, and whatever is named .json."""
    for name in ("notes.md", "package.json"):
        Path(name).write_text("mine")
        _, told = chat("else", f"/save {name}")
        assert "holds something else" in told and Path(name).read_text() == "mine"
    broken = sessions.store.directory() / "b.json"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text("{")
    _, told = chat("else", "/save b")
    assert "holds something else" in told and broken.read_text() == "{"


@pytest.mark.parametrize("name", ["b", "b.json", "b.md"])
def test_saving_again_goes_on_from_what_was_saved(chat, name: str) -> None:
    """A refusal of the very conversation that was saved there would be in the way."""
    chat("one", f"/save {name}", "two", f"/save {name}")
    talk, told = chat(f"/load {name}", "/undo", f"/save {name}")
    if name == "b":
        # Loaded, a session is kept as it goes on: the person took that back.
        assert said("b") == ["one"]
    else:
        assert "holds something else" in told
        talk, _ = chat(f"/load {name}")
        assert [m.content for m in talk.messages if m.role == "user"] == ["one", "two"]


def test_markdown_that_was_saved_is_loaded(chat) -> None:
    """/save x.md, then /load x.md: "there is no such session"."""
    saved, _ = chat('"""', "a", "", "```", "# b", "## User", '"""', "/system *S*", "/save x.md")
    loaded, told = chat("/load x.md")
    assert loaded.messages == saved.messages and "loaded 3 messages" in told


@pytest.mark.parametrize("change", [("## User", "## Tool"), ("```text\n", "```\n"), ("# x", "x")])
def test_markdown_of_others_is_refused(chat, change: tuple[str, str]) -> None:
    """Half of a conversation, or an assistant's words in the user's mouth."""
    chat("one", "/save x.md")
    path = Path("x.md")
    path.write_text(path.read_text().replace(*change, 1))
    with pytest.raises(InputError, match="is not Markdown as /save"):
        sessions.read_file(path)


SHAPING = {
    "--user-name": ("Ann", "transcript"),
    "--assistant-name": ("Bo", "transcript"),
    "--transcript": ("t.toml", "transcript"),
    "--chat-template": ("t.jinja", "chat_template"),
    "--stop": ("zz", "stop"),
    "-n": ("3", "max_new_tokens"),
    "--on-overflow": ("drop-oldest", "on_overflow"),
    "--logit-bias": ("a=1.2345678901", "logit_bias"),
    "--top-k": ("7", "top_k"),
    "--temperature": ("0.123456789", "temperature"),
}


@pytest.mark.slow
@pytest.mark.parametrize("flag", SHAPING)
def test_what_shapes_the_document_is_kept(
    flag: str, chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that went on without its flag was another document."""
    value, key = SHAPING[flag]
    (tmp_path / "t.toml").write_text('user = "{user} said: {content}\\n"\nuser_name = "Cy"\n')
    (tmp_path / "t.jinja").write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}")
    monkeypatch.chdir(tmp_path)
    start = ("chat", "-m", str(chat_model), "--session", "one", "-q", "--seed", "3", "-n", "4")
    assert run(*start, flag, value, "the cat").code == 0
    before = sessions.load("one")
    assert before is not None and key in before.settings
    # Elsewhere, and without the flag.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    document = ("chat", "--session", "one", "-q", "--show-prompt", "the dog")
    kept = run(*document)
    monkeypatch.chdir(tmp_path)
    assert kept.code == 0 and kept.text == run(*document, flag, value).text
    assert run("chat", "--session", "one", "-q", "the dog").code == 0
    after = sessions.load("one")
    assert after is not None
    assert after.settings[key] == before.settings[key]
    assert {**after.settings, "seed": 0} == {**before.settings, "seed": 0}
    assert after.settings["seed"] == 5


def test_a_model_by_a_path_is_found_from_elsewhere(
    chat_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`-m ./model` was kept as it was typed."""
    monkeypatch.chdir(chat_model.parent)
    assert run("chat", "-m", f"./{chat_model.name}", "--session", "one", "-n", "1", "a").code == 0
    monkeypatch.chdir(tmp_path)
    assert run("chat", "--session", "one", "-n", "1", "a").code == 0


@pytest.mark.slow
def test_one_precedence(chat_model: Path, monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    """GPTCLI_SEED lost to the session while GPTCLI_TEMPERATURE won, and so did the user's file."""
    config = own_home / "config" / "gptcli" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("temperature = 0.1\nseed = 1\nmax-new-tokens = 1\n")
    command = ("chat", "--session", "one", "--json")

    def told(*flags: str) -> tuple[float, int, int]:
        found = json.loads(run(*command, *flags, "a").text)
        return (
            found["sampling"]["temperature"],
            found["seed"],
            found["usage"]["completion_tokens"],
        )

    start = ("-m", str(chat_model), "--logit-bias", "<|end|>=-inf")
    assert told(*start, "--temp", "0.2", "--seed", "2", "-n", "2") == (0.2, 2, 2)
    # Not the user's file.
    assert told() == (0.2, 3, 2)
    for name, value in (("TEMPERATURE", "0.3"), ("SEED", "30"), ("MAX_NEW_TOKENS", "3")):
        monkeypatch.setenv(f"GPTCLI_{name}", value)
    assert told() == (0.3, 30, 3)
    assert told("--temp", "0.4", "--seed", "40", "-n", "4") == (0.4, 40, 4)


def test_another_model_than_before_is_told(chat_model: Path) -> None:
    """A variable that is set for all shells would change who answers, without a word."""
    assert run("chat", "-m", str(chat_model), "--session", "one", "-n", "1", "a").code == 0
    done = run("chat", "--session", "one", "-m", "echo", "a")
    assert f"session one: was held with {chat_model} until now" in done.err


def test_other_names_in_the_transcript_that_is_kept(chat_model: Path, tmp_path: Path) -> None:
    """One flag more took the rest of the form back."""
    (tmp_path / "t.toml").write_text('user = "{user} said: {content}\\n"\n')
    start = ("chat", "-m", str(chat_model), "--session", "one", "-n", "1")
    assert (
        run(*start, "--transcript", str(tmp_path / "t.toml"), "--user-name", "Ann", "a").code == 0
    )
    shown = run("chat", "--session", "one", "--show-prompt", "--assistant-name", "Bo", "b").text
    assert shown.startswith("Ann said: a\nBo:") and "Ann said: b\nBo:" in shown


def test_sessions_of_before_still_load(chat_model: Path) -> None:
    """Files without the settings that are kept now, and with those of later versions."""
    messages = (Message("user", "a"), Message("assistant", "b"))
    settings = {"temperature": 0.5, "seed": 1, "of_later": {"x": 1}}
    old = sessions.Session("one", str(chat_model), "2026-01-01", "2026-01-02", messages, settings)
    sessions.save(old)
    done = run("chat", "--session", "one", "--json", "-n", "1", "a")
    assert json.loads(done.text)["seed"] == 1


BAD = {
    "max_new_tokens": -2, "stop": ["", 3], "on_overflow": "x", "chat_template": 3,
    "transcript": {"user": "x"}, "adapters": "x", "logit_bias": ["x"], "seed": -1, "top_k": "x",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_settings_of_strangers_are_checked(name: str, chat_model: Path) -> None:
    """A session's file is a file like any other."""
    sessions.save(sessions.Session("one", str(chat_model), "", "", (), {name: BAD[name]}))
    done = run("chat", "--session", "one", "a")
    assert done.code == 4 and done.err.count("\n") == 1
    assert done.err.startswith(f"gptcli: error: session one: {name} ")
