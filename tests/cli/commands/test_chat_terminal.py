"""`gptcli chat` on a real terminal: a pseudo-terminal, keys typed, the screen read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gptcli.chat import sessions
from tests.cli.typed import Screen
from tests.conftest import CHAT_TEMPLATE, with_context

pytestmark = pytest.mark.slow

COLUMNS = 70
CTRL_C, CTRL_D, ALT_ENTER = "\x03", "\x04", "\x1b\r"


@pytest.fixture
def chat(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """Start a chat whose answers would be endless."""
    monkeypatch.setenv("TERM", "xterm")
    model = with_context(tiny_model, tmp_path / "m", 30_000, CHAT_TEMPLATE)
    begun: list[Screen] = []

    def start(*argv: str) -> Screen:
        begun.append(Screen("chat", "-m", str(model), "--logit-bias", "<|end|>=-inf", *argv))
        begun[-1].prompt(1)
        return begun[-1]

    yield start
    for each in begun:
        each.child.close(force=True)


def kept() -> list[tuple[str, str]]:
    found = sessions.load("one")
    return [] if found is None else [(each.role, each.content) for each in found.messages]


def test_ctrl_c_stops_the_answer_and_ctrl_d_leaves(chat):
    """Catches a Ctrl-C that ends the chat or is swallowed, and a terminal left without echo."""
    screen = chat("--session", "one", "-n", "-1", "--seed", "4")
    screen.say("the cat\r")
    screen.wait(r"> the cat\n[^\n]+\n[^\n]+\n")
    screen.say(CTRL_C)
    screen.wait("gptcli: stopped")
    screen.prompt(2)
    (first, answer) = kept()
    assert first == ("user", "the cat") and len(answer[1]) > COLUMNS
    screen.say("/set max-new-tokens 2\r")
    screen.prompt(3)
    screen.say("the dog\r")
    screen.prompt(4)
    assert [role for role, _ in kept()] == ["user", "assistant"] * 2
    screen.say(CTRL_C)
    screen.wait("Ctrl-D or /exit leaves")
    screen.prompt(5)
    screen.say(CTRL_D)
    assert screen.ended() == 0


def test_messages_of_several_lines(chat):
    """Catches a line that is sent by itself, and quotes that are part of the message."""
    screen = chat("--session", "one", "-n", "1")
    screen.say('"""one\rtwo\r"""\r')
    screen.prompt(2)
    screen.say(f"three{ALT_ENTER}four\r")
    screen.prompt(3)
    users = [content for role, content in kept() if role == "user"]
    assert users == ["one\ntwo", "three\nfour"]
    screen.say('"""\r/help\r"""\r')
    screen.prompt(4)
    assert [c for r, c in kept() if r == "user"][2] == "/help"


def test_history_is_kept_for_the_owner_alone(chat, own_home):
    """Catches messages that others of the machine can read, and a history that is forgotten."""
    file = own_home / "data" / "chat_history"
    file.parent.mkdir(exist_ok=True)
    file.touch(0o644)
    screen = chat("--session", "one", "-n", "1")
    screen.say("the cat\r")
    screen.prompt(2)
    screen.say(CTRL_D)
    assert screen.ended() == 0
    assert file.stat().st_mode & 0o777 == 0o600
    again = chat("-n", "1")
    again.say("\x1b[A")
    again.wait("^> the cat")


def test_tab_completes_commands_and_what_follows(chat):
    """Catches a command, a setting or a session that TAB does not know."""
    screen = chat("-n", "1")
    screen.say("/und\t")
    screen.wait("^> /undo")
    screen.say("\x15/set max\t")
    screen.wait("^> /set max-new-tokens")
    screen.say(" 3\r")
    screen.wait("max-new-tokens: 3")


def test_edit_opens_the_editor(chat, tmp_path, monkeypatch):
    """Catches an editor without a terminal, and an edit that is not sent."""
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\ntest -t 0 && test -t 1 && sed -i s/cat/dog/ "$1"\n')
    editor.chmod(0o755)
    monkeypatch.setenv("EDITOR", str(editor))
    screen = chat("--session", "one", "-n", "1")
    screen.say("the cat\r")
    screen.prompt(2)
    screen.say("/edit\r")
    screen.prompt(3)
    assert kept()[0] == ("user", "the dog") and len(kept()) == 2
    editor.write_text("#!/bin/sh\nexit 3\n")
    screen.say("/edit\r")
    screen.wait("/edit: the editor")
    assert kept()[0] == ("user", "the dog")


def test_a_session_goes_on_where_it_was_killed(chat):
    """Catches a kill -9 within an answer that costs more than that answer."""
    screen = chat("--session", "one", "-n", "2")
    screen.say("the cat\r")
    screen.prompt(2)
    before = kept()
    screen.say("/set max-new-tokens -1\r")
    screen.prompt(3)
    screen.say("the dog\r")
    screen.wait(r"> the dog\n[^\n]+\n")
    screen.child.kill(9)
    screen.child.wait()
    assert kept() == before and len(before) == 2
    again = chat("--session", "one", "-n", "2")
    again.wait("session one goes on after 2 messages")
    again.say("the log\r")
    again.prompt(2)
    assert kept()[:2] == before and len(kept()) == 4


def test_what_the_model_says_cannot_drive_the_terminal(chat):
    """Catches an escape sequence of a message that is obeyed when it is shown."""
    screen = chat("-n", "1", "-s", "a\x1b[2Jb")
    screen.say("/system\r")
    screen.wait(r"a\\x1b\[2Jb")
