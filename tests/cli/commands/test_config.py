"""`gptcli config`: each value with who says it, and the settings file in an editor."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pytest

from gptcli import config
from gptcli.cli.flags import settings
from tests.cli.helpers import run, settings_file
from tests.cli.test_bad_input import assert_one_line

FILE = """
top-k = 7
temperature = 0.5
[template.t]
prompt = "one\\n{input}"
stop = ["a"]
[endpoint.work]
base-url = "http://127.0.0.1:9/v1"
"""


@pytest.fixture
def file() -> Path:
    return settings_file(FILE)


def test_each_value_and_where_it_comes_from(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a value that is not the one that counts, a wrong source, a setting left out."""
    monkeypatch.setenv("GPTCLI_TEMPERATURE", "0.25")
    found = json.loads(run("config", "show", "--json").text)
    values = {each["name"]: (each["value"], each["source"]) for each in found}
    assert set(map(config.key_of, settings.setting_names())) < set(values)
    assert values["temperature"] == (0.25, "GPTCLI_TEMPERATURE")
    assert values["top-k"] == (7, str(file))
    assert values["model"] == ("smollm2", "default")
    assert values["seed"] == (None, "default")
    assert values["template.t.prompt"] == ("one\n{input}", str(file))
    assert values["template.t.stop"] == (["a"], str(file))
    assert values["endpoint.work.base-url"] == ("http://127.0.0.1:9/v1", str(file))
    assert not [name for name in values if name.startswith("endpoint.work.") and "url" not in name]
    heads, *rows = [line.split("\t") for line in run("config", "show").text.splitlines()]
    assert heads == ["setting", "value", "source"]
    assert [row[0] for row in rows] == list(values)
    assert ["seed", "", "default"] in rows and ["samplers", "", "default"] in rows
    assert ["template.t.prompt", "one\\n{input}", str(file)] in rows
    assert "not set" in run("config", "show", terminal=True).text


def test_what_cannot_be_is_told_in_place_of_values(file: Path) -> None:
    """Catches values that are shown as if they counted, where every command refuses them."""
    file.write_text("top-k = -1")
    assert_one_line(run("config", "show"), 2, f"{file}: top-k: must be")


def editor(monkeypatch: pytest.MonkeyPatch, text: str, variable: str = "EDITOR") -> None:
    """One that leaves this text."""
    code = f"import sys; open(sys.argv[1], 'w').write({text!r})"
    monkeypatch.setenv(variable, shlex.join([sys.executable, "-c", code]))


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("top-k = -1\n", 2, "top-k: must be"),
        ("topk = 1\n", 2, "'topk' is not a setting"),
        ("top-k = \n", 4, "cannot be read as settings"),
        ("[endpoint.work]\n", 2, "endpoint.work: needs a base-url"),
        ("[template.t]\ntemprature = 1\n", 2, "template.t: temprature: the command has no such"),
    ],
)
def test_what_is_wrong_is_told_and_kept(
    text: str, code: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a mistake that comes out at the next command alone, or costs what was written."""
    editor(monkeypatch, text)
    done = run("config", "edit")
    told, error = done.err.splitlines()
    file = config.user_file()
    assert told == f"gptcli: {file} is as you left it; gptcli config edit opens it again"
    assert done.code == code and error.startswith(f"gptcli: error: {file}: ") and reason in error
    assert file.read_text() == text
    assert_one_line(run("config", "edit", "-q"), code, reason)


def test_a_file_that_is_well(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches the environment's mistake that is told as the file's, and VISUAL below EDITOR."""
    monkeypatch.setenv("GPTCLI_TOP_K", "-1")
    editor(monkeypatch, "nonsense")
    editor(monkeypatch, "top-k = 4\n", "VISUAL")
    done = run("config", "edit")
    assert (done.code, done.err) == (0, f"gptcli: {file}: all can be obeyed\n")
    assert file.read_text() == "top-k = 4\n"


def test_editors_that_do_not_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a traceback, and a file that nobody has made."""
    for name in ("EDITOR", "VISUAL"):
        monkeypatch.delenv(name, raising=False)
    assert_one_line(run("config", "edit"), 2, "config edit: there is no editor (set EDITOR)")
    for bad, reason in (("false", "failed"), ("/no/such", "failed"), ("'", "failed")):
        monkeypatch.setenv("EDITOR", bad)
        assert_one_line(run("config", "edit"), 2, reason)
    monkeypatch.setenv("EDITOR", "true")
    done = run("config", "edit")
    assert (done.code, done.err) == (0, f"gptcli: {config.user_file()}: is not there\n")
