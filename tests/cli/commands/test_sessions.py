"""`gptcli sessions`: what is kept, shown, exported and removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gptcli.chat import sessions
from gptcli.chat.sessions import Session
from gptcli.cli.flags.completers import complete_session
from gptcli.types.chat import Message
from tests.cli.helpers import run

SAID = (
    Message("system", "Be brief."),
    Message("user", "# Hi\n```\n\x1b[2J"),
    Message("assistant", "日本\n"),
    Message("user", "more"),
    Message("assistant", "ok"),
)


def keep(name: str, *messages: Message) -> Session:
    found = Session(
        name, "smollm2", "2026-01-01T10:00:00+00:00", "2026-01-02T10:00:00+00:00", messages
    )
    sessions.save(found)
    return found


@pytest.fixture
def three(own_home: Path) -> Path:
    """Two sessions and a broken one; their directory."""
    keep("travel", *SAID)
    keep("dinner", Message("user", "a"))
    place = own_home / "data" / "sessions"
    (place / "broken.json").write_text("{")
    return place


def test_the_list_tells_all_of_them(three):
    """Catches a broken session that hides the others, or that is not told."""
    size = (three / "travel.json").stat().st_size
    found = json.loads(run("sessions", "list", "--json").text)
    assert [each["name"] for each in found] == ["broken", "dinner", "travel"]
    assert found[2] == {
        "name": "travel",
        "model": "smollm2",
        "turns": 2,
        "created": "2026-01-01T10:00:00+00:00",
        "updated": "2026-01-02T10:00:00+00:00",
        "bytes": size,
        "problem": None,
    }
    assert found[0]["model"] is None and found[0]["problem"].startswith("is not JSON")
    rows = [line.split("\t") for line in run("sessions", "list").text.splitlines()]
    assert rows[0] == ["name", "model", "turns", "updated", "size", "problem"]
    assert rows[3] == ["travel", "smollm2", "2", "2026-01-02T10:00:00+00:00", str(size), ""]
    assert rows[1][0] == "broken" and rows[1][5].startswith("is not JSON")


@pytest.mark.parametrize("width", ["40", "60", "200"])
def test_the_list_fits_the_terminal(three, width, monkeypatch):
    """Catches rows that break, and a problem that a narrow terminal does not show."""
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setenv("TERM", "dumb")
    lines = run("sessions", "list", terminal=True).text.splitlines()
    assert len(lines) == 4 and max(map(len, lines)) <= int(width)
    assert "is not JSON" in lines[1]


def test_an_empty_list(own_home):
    """Catches an error, or silence, where nothing was ever kept."""
    assert json.loads(run("sessions", "list", "--json").text) == []
    assert run("sessions", "list").text.startswith("name\t")
    done = run("sessions", "list", terminal=True)
    assert (done.code, done.out) == (0, b"") and "there are none yet" in done.err


def test_show(three):
    """Catches contents that are changed on the way into a pipe, or obeyed by a terminal."""
    assert run("sessions", "show", "travel").text == "\n".join(
        f"{each.role}:\n{each.content}\n" for each in SAID
    )
    found = json.loads(run("sessions", "show", "travel", "--json").text)
    assert found["messages"][1] == {"role": "user", "content": SAID[1].content}
    shown = run("sessions", "show", "travel", terminal=True).text
    assert "\x1b[2J" not in shown and "\\x1b[2J" in shown


def test_json_is_what_a_chat_loads(three, tmp_path):
    """Catches an export that /load does not take."""
    path = tmp_path / "out.json"
    assert run("sessions", "export", "travel", "-o", str(path)).err == (
        f"gptcli: exported travel to {path}\n"
    )
    assert sessions.read_file(path) == sessions.load("travel")
    assert path.stat().st_mode & 0o777 == 0o600
    assert run("sessions", "export", "travel").out == path.read_bytes()


def test_the_format_is_the_files_or_the_flags(three, tmp_path):
    """Catches a .md that holds JSON, and a flag that the name outweighs."""
    markdown = run("sessions", "export", "travel", "--format", "markdown").out
    assert markdown.startswith(b"# travel\n")
    for name, flags, expected in [
        ("a.md", [], markdown),
        ("a.MARKDOWN", [], markdown),
        ("a.txt", ["--format", "markdown"], markdown),
        ("b.md", ["--format", "json"], run("sessions", "export", "travel").out),
    ]:
        path = tmp_path / name
        path.write_text("old")
        assert run("sessions", "export", "travel", "-o", str(path), "-q", *flags).err == ""
        assert path.read_bytes() == expected


def test_a_link_stays_a_link(three, tmp_path):
    """Catches an export, or a turn, that puts a file in the place of a link."""
    (tmp_path / "real.json").write_text("old")
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real.json")
    assert run("sessions", "export", "dinner", "-o", str(link)).code == 0
    assert link.is_symlink()
    assert sessions.read_file(tmp_path / "real.json") == sessions.load("dinner")


def test_an_export_cannot_drive_the_terminal(three):
    """Catches escape sequences that are obeyed where the export is only looked at."""
    shown = run("sessions", "export", "travel", "--format", "markdown", terminal=True).text
    assert "\x1b[2J" not in shown and "\\x1b[2J" in shown


def test_rm(three):
    """Catches a session that stays, a broken one that cannot be removed, and others that go."""
    done = run("sessions", "rm", "travel", "broken", "travel")
    assert (done.code, done.err) == (0, "gptcli: removed travel\ngptcli: removed broken\n")
    assert sessions.names() == ["dinner"]


BAD = [
    (["show", "nothing"], 2, "session nothing: there is no such session"),
    (["export", "nothing"], 2, "session nothing: there is no such session"),
    (["rm", "dinner", "nothing"], 2, "session nothing: there is no such session"),
    (["rm"], 2, "NAME: is missing"),
    (["show", "../x"], 2, "can be no name"),
    (["rm", "dinner", "../x"], 2, "can be no name"),
    (["show", "broken"], 4, "broken.json: is not JSON"),
    (["export", "broken"], 4, "broken.json: is not JSON"),
    (["export", "travel", "--format", "xml"], 2, "--format: must be one of json, markdown"),
    (["export", "travel", "-o", "no/such/place"], 6, "No such file or directory"),
    (["export", "travel", "-o", "/dev/null"], 6, "/dev/null: is not a file"),
    (["export", "travel", "-o", "."], 6, "is not a file"),
    (["frob"], 2, "no such command"),
]


@pytest.mark.parametrize(("argv", "code", "reason"), BAD, ids=[" ".join(row[0]) for row in BAD])
def test_bad_input_is_one_line_and_changes_nothing(argv, code, reason, three):
    """Catches a traceback, a wrong exit code, and a device or session that was replaced."""
    done = run("sessions", *argv)
    assert (done.code, done.out) == (code, b"")
    assert done.err.count("\n") == 1 and reason in done.err
    assert sessions.names() == ["broken", "dinner", "travel"]


def test_a_session_in_use_is_not_removed(three):
    """Catches a chat that loses what it is kept in, and another session that goes with it."""
    with sessions.held("travel"):
        done = run("sessions", "rm", "dinner", "travel")
    assert done.code == 2 and "travel: is in use" in done.err
    assert sessions.names() == ["broken", "dinner", "travel"]


def test_names_are_completed_without_reading_the_sessions(three):
    """Catches a name that TAB does not know, the broken ones included."""
    assert complete_session("d") == ["dinner"]
    assert complete_session("") == ["broken", "dinner", "travel"]


def test_help_without_a_command():
    """Catches a group that fails where it is called by itself."""
    done = run("sessions")
    assert done.code == 0 and "export" in done.text
