"""Sessions on disk: durable, private, and refused where they are broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.chat import sessions
from gptcli.chat.sessions import Session
from gptcli.chat.sessions.form import decode, encode
from gptcli.chat.sessions.store import directory
from gptcli.errors import InputError, UsageError
from gptcli.types.chat import Message


def session(*contents: str, name: str = "one") -> Session:
    roles = ["user", "assistant"]
    messages = tuple(Message(roles[i % 2], text) for i, text in enumerate(contents))
    return Session(name, "smollm2", "2026-01-01", "2026-01-02", messages, {"seed": 3})


def test_what_is_saved_is_loaded():
    """Catches a field that is lost on the way to the disk or back."""
    sessions.save(session("a", "b\n\n", "日本 \x1b[0m"))
    assert sessions.load("one") == session("a", "b\n\n", "日本 \x1b[0m")
    assert sessions.load("two") is None
    assert [each.name for each in sessions.list_sessions()] == ["one"]
    assert sessions.remove("one") and not sessions.remove("one")


def test_only_the_owner_may_read():
    """Catches a conversation that other users of the machine can read, whatever the umask."""
    before = os.umask(0)
    try:
        sessions.save(session("a"))
        with sessions.held("one"):
            pass
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in directory().iterdir()}
    assert modes["one.json"] == 0o600
    assert directory().stat().st_mode & 0o777 == 0o700


def test_one_process_at_a_time():
    """Catches two chats that overwrite each other's turns."""
    code = "from gptcli.chat import sessions; sessions.held('one').__enter__()"
    with sessions.held("one"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "session one: is in use by another gptcli" in done.stderr


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "../x", "ä", "a" * 101, "a b"])
def test_names_that_cannot_be(name):
    """Catches a name that leads out of the directory, or that a file system may not take."""
    with pytest.raises(UsageError, match="can be no name"):
        sessions.load(name)


GOOD = json.loads(encode(session("a")))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "is no session of version 1"),
        ({"messages": None}, "'messages' must be a list"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "message 1 is no role with a content"),
        ({"messages": [{"role": "user"}]}, "message 1 is no role with a content"),
        ({"messages": ["x"]}, "message 1 is no role with a content"),
        (
            {"messages": [{"role": role, "content": "a"} for role in ("user", "system")]},
            "message 2 is the system's",
        ),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "half of a surrogate pair"),
        *(
            ({"messages": [{"role": "assistant", "content": "abc", "marks": marks}]}, "has marks")
            for marks in (
                3,
                [3],
                [[0]],
                [[0, 4]],
                [[1, 1]],
                [[0, 2], [1, 3]],
                [[-1, 2]],
                [["0", 1]],
            )
        ),
        ({"model": 3}, "'model' must be a text"),
        ({"settings": []}, "'settings' must be an object"),
    ],
)
def test_broken_files_are_refused(change, reason, tmp_path):
    """Catches a broken file that becomes a traceback, or half a conversation."""
    path = tmp_path / "s.json"
    path.write_text(json.dumps(GOOD | change))
    with pytest.raises(InputError, match=rf"s\.json: .*{reason}"):
        sessions.read_file(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[1]", "no session"),
        *((each, "is not JSON") for each in (b"", b"{", b"\xff", b"[" * 100_000)),
    ],
    ids=["list", "empty", "open", "bytes", "deep"],
)
def test_what_is_no_session_is_refused(data, reason):
    """Catches JSON of another kind, and none at all."""
    with pytest.raises(InputError, match=reason):
        decode(data, "x")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_any_text_comes_back(contents):
    """Catches a character that JSON or UTF-8 changes."""
    assert decode(encode(session(*contents)), "x") == session(*contents)


def test_a_kill_at_any_moment_leaves_the_old_or_the_new(own_home: Path):
    """Catches a file that is written in place, or renamed before it is whole."""
    code = (
        "from tests.chat.sessions.test_store import session\nfrom gptcli.chat import sessions\n"
        "n = 0\nwhile True:\n    sessions.save(session(*[str(n) * 2000] * 40))\n    n += 1\n"
    )
    root = Path(__file__).parents[3]
    for attempt in range(12):
        child = subprocess.Popen([sys.executable, "-c", code], cwd=root)
        deadline = time.monotonic() + 20
        while sessions.load("one") is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.003 * attempt)
        child.send_signal(signal.SIGKILL)
        child.wait()
        found = sessions.load("one")
        assert found is not None
        assert len({message.content for message in found.messages}) == 1
        assert len(found.messages) == 40
    sessions.save(session("a"))
    assert not list(directory().glob(".*.part"))
