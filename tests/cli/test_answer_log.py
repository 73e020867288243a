"""`--log`: a line for each answer, whole, for its owner's eyes, and never at an answer's cost."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gptcli import config
from gptcli import line_log as log_file
from gptcli.backends.echo import EchoBackend
from gptcli.chat.talk import Talk
from gptcli.cli.answer_log import AnswerLog
from gptcli.cli.environment import Environment
from gptcli.cli.flags.log import Logging
from gptcli.cli.repl.answers import log_turn
from gptcli.cli.repl.loop import Repl
from gptcli.errors import ResourceError
from gptcli.line_log import append
from gptcli.types.chat import ChatRequest
from gptcli.ui.views.thinking import ThinkingView
from tests.cli.helpers import run
from tests.cli.repl.test_repl import Typed
from tests.cli.test_bad_input import assert_one_line

COMPLETE = ("complete", "-m", "echo", "-n", "2", "--seed", "5")
PAIRS = ("--example", "the cat", "sat", "--example", "the dog", "on the log")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().split("\n") if line]


def test_a_line_for_each_answer(file: Path) -> None:
    """Catches a sample without a line, another's seed or answer, a file that others can read."""
    done = run(*COMPLETE, "--log", str(file), "--samples", "2", "--temp", "0.5", "a \u2028b c")
    assert done.code == 0
    first, second = lines(file)
    assert (first["answer"], first["prompt"]) == (" a b", "a \u2028b c")
    assert (first["seed"], second["seed"]) == (5, 6)
    assert first["command"] == "complete" and first["model"] == "echo"
    assert first["finish_reason"] == "length" and first["settings"]["max_new_tokens"] == 2
    assert datetime.fromisoformat(first["time"]).utcoffset() is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run(*COMPLETE, "d").code == 0
    assert len(lines(file)) == 2


def test_every_command_that_answers(file: Path, chat_model: Path, base_model: Path) -> None:
    """Catches a command that takes the flag and logs nothing, or something else than it printed."""
    log = ("--log", str(file))
    chat = run("chat", "-m", str(chat_model), "-s", "S.", "-n", "3", *log, "hi")
    few_shot = ("few-shot", "-m", str(base_model), *PAIRS, "-n", "3", "--json")
    few = run(*few_shot, *log, stdin=b"a\nb\n")
    ask = run("ask", "-m", str(base_model), "--type", "choice:cat,dog", *log, "the")
    one, two, three, four = lines(file)
    assert [each["command"] for each in lines(file)] == ["chat", "few-shot", "few-shot", "ask"]
    assert one["answer"].strip("\n") == chat.text.strip("\n")
    assert (one["system"], one["turn"], one["prompt"]) == ("S.", 1, "hi")
    assert one["settings"]["sampling"]["temperature"] > 0 and one["device"] == "cpu"
    answers = [json.loads(line)["answer"] for line in few.text.split("\n") if line]
    assert [two["answer"], three["answer"]] == answers
    assert (two["prompt"], three["prompt"], two["examples"]) == ("a", "b", 2)
    assert four["answer"] == ask.text.strip() and 0 < four["probability"] < 1


def test_settings_say_it_as_well(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a log that can be had by the flag alone, or that no flag can leave out once."""
    settings = config.user_file()
    settings.parent.mkdir(parents=True)
    settings.write_text(f'log = "{file}"\n')
    assert run(*COMPLETE, "a").code == 0 and len(lines(file)) == 1
    assert run(*COMPLETE, "--log", "off", "a").code == 0 and len(lines(file)) == 1
    rows = file.with_name("rows.txt")
    rows.write_text("a\n")
    assert run(*COMPLETE, "--batch", str(rows)).code == 0 and len(lines(file)) == 1
    monkeypatch.setenv("GPTCLI_LOG", "off")
    assert run(*COMPLETE, "a").code == 0 and len(lines(file)) == 1
    asked = run(*COMPLETE, "--batch", str(rows), "--log", str(file))
    assert_one_line(asked, 2, "--log: cannot be combined with --batch")
    assert_one_line(run(*COMPLETE, "--log", "of", "a"), 2, "--log: must be off or a file, such as")


def test_a_failure_costs_no_answer(file: Path, tmp_path: Path) -> None:
    """Catches an answer that is lost with its line, and a line that is lost in silence."""
    out = tmp_path / "out"
    for bad in (str(tmp_path), "/dev/full", str(tmp_path / "no" / "log.jsonl")):
        done = run(*COMPLETE, "--log", bad, "a")
        assert (done.code, done.text) == (6, " a a")
        assert done.err.startswith(f"gptcli: error: --log {bad}: ") and done.err.count("\n") == 1
        assert run(*COMPLETE, "--log", bad, "-o", str(out), "a").code == 6
        assert out.read_text() == " a a"
        assert run("chat", *COMPLETE[1:], "--log", bad, "a").text == " a a\n"
        out.unlink()
    assert not (tmp_path / "no").exists()


def talk_of(log: AnswerLog, environment: Environment, *typed: str) -> Talk:
    """A conversation whose turns are logged."""
    request = ChatRequest((), max_new_tokens=1, seed=3)
    talk = Talk(EchoBackend, request, model="echo", turned=lambda t: log_turn(log, talk, t))
    thoughts = ThinkingView(environment.stderr, "shown")
    Repl(environment, talk, Typed(list(typed)), environment.messages(), thoughts).run()
    return talk


def test_turns_of_a_conversation(file: Path, tmp_path: Path) -> None:
    """Catches turns that cannot be told apart, or a chat that ends with the log."""
    environment = Environment(None, io.StringIO(), io.StringIO(), os.environ)
    log = AnswerLog(Logging(str(file)), "chat", environment.messages())
    log.at_once = True
    talk_of(log, environment, "one", "two", "/regen")
    found = lines(file)
    assert [(each["prompt"], each["turn"], each["seed"]) for each in found] == [
        ("one", 1, 3),
        ("two", 2, 4),
        ("two", 2, 5),
    ]
    assert len({each["conversation"] for each in found}) == 1
    log = AnswerLog(Logging(str(tmp_path)), "chat", environment.messages())
    log.at_once = True
    talk = talk_of(log, environment, "one", "two")
    assert len(talk.messages) == 4
    error = f"gptcli: error: --log {tmp_path}: "
    assert environment.stderr.getvalue().count(error) == 2  # type: ignore[attr-defined]


def test_an_answer_that_was_stopped(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a line that calls what was cut short whole, or that is not there."""
    answer = EchoBackend.answer

    def stopped(self: EchoBackend, question: Any) -> Any:
        for place, event in enumerate(answer(self, question)):
            if place == 1:
                raise KeyboardInterrupt
            yield event

    monkeypatch.setattr(EchoBackend, "answer", stopped)
    assert run(*COMPLETE, "--log", str(file), "a b").code == 130
    (line,) = lines(file)
    assert line["answer"] == " a" and "finish_reason" not in line


WRITER = """
import sys
from pathlib import Path
from gptcli.line_log import append
for number in range(40):
    append(Path(sys.argv[1]), (sys.argv[2] * 9000 + "\\n").encode())
"""


def test_several_processes_write_whole_lines(file: Path) -> None:
    """Catches lines of one process within another's: each is longer than a page."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), c]) for c in "abc"]
    assert [each.wait(60) for each in writers] == [0, 0, 0]
    found = file.read_text().splitlines()
    assert sorted(found) == sorted(c * 9000 for c in "abc" for _ in range(40))


def test_a_torn_line_stays_by_itself(file: Path) -> None:
    """Catches a line that goes on where another ended in its midst, so that both are lost."""
    file.write_text("torn")
    append(file, b"{}\n")
    assert file.read_text() == "torn\n{}\n"


def test_a_line_that_does_not_fit_is_not_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches half a line on a disk that is full."""
    append(file, b"one\n")
    write = os.write
    monkeypatch.setattr(log_file.os, "write", lambda fd, data: write(fd, data[:3]))
    with pytest.raises(ResourceError, match="takes no more"):
        append(file, b"another\n")
    assert file.read_text() == "one\n"
