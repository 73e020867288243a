"""`-o FILE` of one answer: what a pipe gets, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.helpers import run

ECHO = ("complete", "-m", "echo", "one two three")
EXAMPLES = ("few-shot", "--example", "a", "b", "--temp", "0", "-n", "3")


@pytest.mark.parametrize(
    "argv",
    [
        ECHO,
        (*ECHO, "--json", "--seed", "1"),
        (*ECHO, "--samples", "2", "-0"),
        ("chat", "-m", "echo", "hi you"),
        (*EXAMPLES, "cat"),
    ],
)
def test_a_file_gets_what_a_pipe_gets(tmp_path: Path, tiny_model, argv):
    """Catches an answer that is another in a file, also where a terminal is looking, and one that
    is on stdout as well.
    """
    argv = argv if "echo" in argv else (*argv, "-m", str(tiny_model))
    plain = run(*argv)
    for terminal in (False, True):
        file = tmp_path / f"answer{terminal}"
        done = run(*argv, "-o", str(file), terminal=terminal)
        assert done.code == plain.code == 0, done.err
        assert done.text == "" and file.read_text() == plain.text
    assert run(*argv, "-o", "-").text == plain.text


def test_nothing_is_written_where_it_failed(tmp_path: Path, tiny_model):
    """Catches half an answer, and an old one that is gone for nothing."""
    file = tmp_path / "answer"
    file.write_text("old")
    flags = ("--temp", "0", "--fail-below", "0.99", "-o", str(file))
    done = run("complete", "-m", str(tiny_model), *flags, "the cat")
    assert done.code == 9 and file.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["answer"]
    missing = run(*ECHO, "-o", str(tmp_path / "no" / "answer"))
    assert missing.code == 6 and "answer" in missing.err and missing.text == ""
    alone = run("score", "-m", "echo", "-o", str(file), "a")
    assert alone.code == 2 and "--output: needs --batch" in alone.err
    known = ("--evaluate", str(file))
    both = run(*EXAMPLES, "-m", "echo", *known, "-o", str(file))
    assert both.code == 2 and "--evaluate: cannot be combined with --output" in both.err
