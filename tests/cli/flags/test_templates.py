"""Templates: flags and a prompt of the user's file, under a name that the command line gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gptcli.cli import direct
from gptcli.cli.boundary import main
from tests.cli.helpers import run, settings_file
from tests.cli.test_bad_input import assert_one_line

FILE = r"""
max-new-tokens = 2
[template.commit]
prompt = "For {this} diff: {input} {{input}} %s"
max-new-tokens = -1
stop = ["never", "\n"]
[template.scene]
system = "Be {input}."
temp = 0.25
[template.whole]
prompt = "All of it."
n-predict = -1
json = true
"""
COMPLETE, CHAT = ("complete", "-m", "echo"), ("chat", "-m", "echo")


@pytest.fixture
def file() -> Path:
    return settings_file(FILE)


@pytest.fixture
def add(file: Path):
    """Another template, "t", of these lines."""
    return lambda lines: file.write_text(f"{FILE}[template.t]\n{lines}\n")


def test_the_text_stands_in_the_prompt(file: Path) -> None:
    """Catches other braces that are taken for something, an {input} in the text, or a pipe lost."""
    due = " For {this} diff: %s {%s} %%s"
    for argv in ((*COMPLETE, "-t", "commit"), (*CHAT, "--template", "commit")):
        assert run(*argv, "a{input}b").text.strip("\n") == due % ("a{input}b", "a{input}b")
        assert run(*argv, stdin=b"piped").text.strip("\n") == due % ("piped", "piped")
    assert run(*COMPLETE, "-t", "commit", stdin=None).code == 2


def test_a_prompt_without_a_place(file: Path) -> None:
    """Catches a text that is dropped, and a prompt that waits for one."""
    for argv in ((*COMPLETE, "-t", "whole"), (*CHAT, "-t", "whole")):
        for stdin in (None, b""):
            answer = json.loads(run(*argv, stdin=stdin).text)["choices"][0]
            assert answer.get("text", answer.get("message", {}).get("content")) == " All of it."
        what = "template.whole: prompt: has no {input}, in which the"
        assert_one_line(run(*argv, "more"), 2, what)
        assert_one_line(run(*argv, stdin=b"more"), 2, what)
        assert run(*argv, "--no-stdin", stdin=b"more").code == 0


def test_what_outweighs_what(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a template below the environment or the file, or above a flag, in both readers."""
    monkeypatch.setenv("GPTCLI_MAX_NEW_TOKENS", "3")
    file.write_text(f"{FILE}[template.four]\nmax-new-tokens = 4\n[template.none]\n")
    text = "a b c d e f g h"
    for extra in ((), ("--no-color",)):
        # The second is Typer's to read.
        assert (direct.read([*COMPLETE, *extra, text]) is None) == bool(extra)
        for flags, words in ((("-t", "none"), 3), (("-t", "four"), 4), (("-t", "four", "-n5"), 5)):
            assert len(run(*COMPLETE, *extra, *flags, text).text.split()) == words
    monkeypatch.delenv("GPTCLI_MAX_NEW_TOKENS")
    assert len(run(*COMPLETE, "-t", "none", text).text.split()) == 2


def test_flags_of_a_chat(chat_model: Path, file: Path) -> None:
    """Catches a system prompt that is not the template's, or that outweighs the command line's."""
    shown = ("chat", "-m", str(chat_model), "-t", "scene", "--show-prompt")
    assert "system\nBe {input}.<|end|>" in run(*shown, "hi").text
    assert "system\nBe brief.<|end|>" in run(*shown, "-s", "Be brief.", "hi").text
    (file.parent / "scene.txt").write_text("Be far.")
    assert "Be far." in run(*shown, "--system-file", str(file.parent / "scene.txt"), "hi").text


def test_a_session_is_held_with_the_template(chat_model: Path, file: Path) -> None:
    """Catches a setting of a session that outweighs what is named on the command line."""
    session = ("chat", "-m", str(chat_model), "--session", "s", "-n", "2", "hi")
    assert run(*session, "--temp", "0.5").code == 0
    assert run(*session, "-t", "scene").code == 0
    kept = json.loads(run("sessions", "export", "s").text)
    assert kept["settings"]["temperature"] == 0.25


def test_files_are_found_from_anywhere(
    chat_model: Path, add, file: Path, tmp_path, monkeypatch
) -> None:
    """Catches a name in the settings file that means what lies in the working directory."""
    add('system-file = "scene.txt"')
    (file.parent / "scene.txt").write_text("Be the user's.")
    (tmp_path / "scene.txt").write_text("Be another's.")
    monkeypatch.chdir(tmp_path)
    found = run("chat", "-m", str(chat_model), "-t", "t", "--show-prompt", "hi")
    assert "Be the user's." in found.text


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("temprature = 1", "temprature: the command has no such flag (did you mean temperature?)"),
        ("system = 'x'", "system: the command has no such flag"),
        ("temperature = -1", "temperature: must be 0 or more, not -1"),
        ("max-new-tokens = 'x'", "max-new-tokens: must be a whole number, not 'x'"),
        ("json = 'perhaps'", "json: must be true or false"),
        ("stop = ['']", "stop: must not be empty"),
        ("suffix = 3", "suffix: must be a text, not 3"),
        ("file = 'x'", "file: the command has no such flag"),
        ("api-key-file = 'x'", "api-key-file: the command has no such flag"),
        ("no-color = true", "no-color: the command has no such flag"),
        ("batch = '-'", "batch: - is stdin, which only a command line can name"),
        ("seed = 2026-01-01", "seed: must be a text, a number, true, false or a list"),
        ("prompt = 3", "prompt: must be a text"),
        ("prompt = ' '", "prompt: must be a text"),
    ],
)
def test_what_cannot_be_is_one_line(add, lines: str, reason: str) -> None:
    """Catches a flag that is passed over, a value that becomes another, a traceback."""
    add(lines)
    assert_one_line(run(*COMPLETE, "-t", "t", "hi"), 2, f"template.t: {reason}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("template = 3", "template: must be tables, as [template.commit] is"),
        ("[template]\nx = 3", "template.x: must be a table, [template.x]"),
        ("[template.'a b']", "template.a b: a name has letters"),
    ],
)
def test_tables_that_are_none(file: Path, text: str, reason: str) -> None:
    """Catches a table that no command takes notice of."""
    file.write_text(text)
    assert_one_line(run(*COMPLETE, "hi"), 2, reason)


def test_names_and_batches_that_cannot_be(file: Path, tmp_path: Path) -> None:
    """Catches a name that is taken for no template, and rows that a prompt does not reach."""
    assert_one_line(run(*COMPLETE, "-t", "comit", "hi"), 2, "'comit' (did you mean commit?)")
    assert_one_line(run(*COMPLETE, "-t", "zzz", "hi"), 2, "(gptcli templates list lists them)")
    rows = tmp_path / "rows.txt"
    rows.write_text("one two three\n")
    done = run(*COMPLETE, "-t", "commit", "--batch", str(rows))
    assert_one_line(done, 2, "--template: cannot be combined with --batch")
    file.write_text("[template.t]\nmax-new-tokens = 1\n")
    done = run(*COMPLETE, "-t", "t", "--batch", str(rows))
    assert json.loads(done.text)["choices"][0]["text"] == " one"
    file.unlink()
    assert_one_line(run(*COMPLETE, "-t", "t", "hi"), 2, f"({file} would hold it)")


def test_they_are_listed_and_shown(add, monkeypatch, capsys) -> None:
    """Catches a template whose mistake is found out at its use alone, and one not completed."""
    add("temprature = 1")
    rows = [line.split("\t") for line in run("templates", "list").text.splitlines()]
    assert [row[:2] for row in rows] == [
        ["name", "commands"],
        ["commit", "chat, complete"],
        ["scene", "chat"],
        ["whole", "chat, complete"],
        ["t", ""],
    ]
    assert rows[-1][-1].endswith(
        "temprature: the command has no such flag (did you mean temperature?)"
    )
    found = json.loads(run("templates", "list", "--json").text)
    assert found[1]["flags"] == {"system": "Be {input}.", "temp": 0.25}
    shown = run("templates", "show", "scene").text
    assert shown == "system\tBe {input}.\ntemp\t0.25\ncommands\tchat\n"
    assert json.loads(run("templates", "show", "scene", "--json").text) == found[1]
    assert_one_line(run("templates", "show", "scen"), 2, "(did you mean scene?)")
    for name, value in {
        "_GPTCLI_COMPLETE": "complete_bash",
        "COMP_WORDS": "gptcli chat -t sc",
        "COMP_CWORD": "3",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().out.split() == ["scene"]


def test_every_line_of_a_conversation_goes_into_it() -> None:
    """Catches a line that is sent as it was typed, and one that is put into the prompt twice."""
    import io
    import os

    from gptcli.backends.echo import EchoBackend
    from gptcli.chat.talk import Talk
    from gptcli.cli.environment import Environment
    from gptcli.cli.repl.loop import Repl
    from gptcli.types.chat import ChatRequest
    from gptcli.ui.views.thinking import ThinkingView
    from tests.cli.repl.test_repl import Typed

    environment = Environment(None, io.StringIO(), io.StringIO(), os.environ)
    talk = Talk(EchoBackend, ChatRequest((), max_new_tokens=9), model="echo")
    lines = Typed(["one", "/regen", "two"])
    thoughts = ThinkingView(environment.stderr, "shown")
    messages = environment.messages()
    Repl(environment, talk, lines, messages, thoughts, around=lambda text: f"<{text}>").run()
    assert [each.content for each in talk.messages if each.role == "user"] == ["<one>", "<two>"]
