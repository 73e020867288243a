"""`gptcli loom` without its screen: what is printed of a tree, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gptcli.loom import Tale, Way, as_json, read_file, write_file
from gptcli.types.token import Source
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.loom.test_tale import grown


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The file of a tree."""
    tale = Tale("the cat", 7)
    one, _ = grown(tale, 0, " sat", " ran")
    grown(tale, one, " down")
    write_file(tmp_path / "tale.json", tale)
    return tmp_path / "tale.json"


def test_a_saved_tree_is_printed(kept):
    """Catches a command that waits for keys where nobody is, or that needs a model to print."""
    before = kept.read_bytes()
    plain = run("loom", "--save", str(kept))
    assert plain.code == 0 and plain.err == ""
    assert [line[18:] for line in plain.text.splitlines()] == [
        "text", "the cat", "├─ sat", "│  down", "└─ ran",
    ]  # fmt: skip
    assert run("loom", "--save", str(kept), stdin=b"the cat").text == plain.text
    assert run("loom", "--save", str(kept), "the cat").text == plain.text
    assert json.loads(run("loom", "--json", "--save", str(kept)).text) == as_json(read_file(kept))
    assert kept.read_bytes() == before


def test_a_terminal_without_keys_gets_the_tree(kept, monkeypatch):
    """Catches a screen on a terminal that cannot move its cursor."""
    monkeypatch.setenv("TERM", "dumb")
    done = run("loom", "--save", str(kept), stdin=None, terminal=True)
    assert done.code == 0 and "|- sat" in done.text and "m, float32 on cpu" in done.text
    assert "\x1b" not in done.text


def test_forms_for_other_programs(kept, tmp_path):
    """Catches a form that goes to the wrong place, or beside another."""
    here = ("loom", "--save", str(kept))
    assert run(*here, "--dot").text.startswith("digraph loom {")
    assert run(*here, "--markdown").text.startswith("# Loom\n")
    assert run(*here, "--html", "-").text.startswith("<!doctype html>")
    page, text = tmp_path / "page.html", tmp_path / "text.md"
    done = run(*here, "--markdown", "-o", str(text), "--html", str(page))
    assert done.out == b"" and "wrote" in done.err and "page.html" in done.err
    assert text.read_text().startswith("# Loom\n") and "float32" in page.read_text()
    both = run(*here, "--dot", "--json")
    assert_one_line(both, 2, "cannot go to stdout beside")


def test_what_cannot_be_is_told(kept, tmp_path):
    """Catches a prompt that is ignored, a file that is overwritten, and a traceback."""
    assert_one_line(run("loom", "a"), 2, "needs a terminal")
    assert_one_line(run("loom", "--json", "a", stdin=None, terminal=True), 2, "needs a terminal")
    none = str(tmp_path / "none.json")
    assert_one_line(run("loom", "--save", none, "a"), 2, "needs a terminal")
    assert_one_line(run("loom", "--save", str(kept), "the dog"), 2, "is not that of")
    kept.write_text("{}")
    assert_one_line(run("loom", "--save", str(kept)), 4, "no tree of gptcli loom")
    assert kept.read_text() == "{}"
    assert_one_line(run("loom", "-k", "0", "a"), 2, "--branches")


def test_a_file_alone_has_no_model_fetched(tmp_path, monkeypatch):
    """Catches a stranger's file that has a model downloaded, or goes on with another one."""
    monkeypatch.setenv("TERM", "xterm")
    for model in ("org/name", "some-server-s", "./gone"):
        tale = Tale("a", 0)
        way = Way(Source(model, "cpu", "float32"), {"model": model})
        (at,) = tale.begin(0, 1, way)
        tale.grow(at, " b")
        tale.settle()
        write_file(tmp_path / "tale.json", tale)
        done = run("loom", "--save", str(tmp_path / "tale.json"), stdin=None, terminal=True)
        assert_one_line(done, 2, f"{model}, which is not on this machine")
