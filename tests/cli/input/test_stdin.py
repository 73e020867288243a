"""Whether a pipe is looked at for a text, and what is told of one that says nothing."""

from __future__ import annotations

import io
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from gptcli.cli import environment as environment_module
from gptcli.cli.boundary import main
from gptcli.cli.environment import Environment
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.faults.processes import wait_for

ECHO = ("complete", "-m", "echo", "-n", "-1")
PAIRS = ("--example", "a", "b", "--example", "c", "d")


def test_no_pipe_is_looked_at() -> None:
    """Catches a loop's own input that is swallowed, or a pipe that is told of."""
    assert run(*ECHO, "a", stdin=b"pipe").text == " pipe a"
    assert run(*ECHO, "--no-stdin", "a", stdin=b"pipe").text == " a"
    assert_one_line(run(*ECHO, "--no-stdin", stdin=b"pipe"), 2, "prompt: is missing")
    chat = ("chat", "-m", "echo", "--no-stdin")
    assert run(*chat, "hi", "-n", "1", stdin=b"pipe").text == " hi\n"
    assert_one_line(run(*chat, stdin=b"pipe"), 2, "message: is missing")
    score = ("score", "-m", "echo", "--no-stdin", "--jsonl")
    assert_one_line(run(*score, stdin=b"{}"), 2, "--jsonl: needs a file (-f) or a pipe")


@pytest.mark.parametrize(
    "argv",
    [(*ECHO, "-"), (*ECHO, "-f", "-"), ("score", "-m", "echo", "--jsonl", "-f", "-")],
)
def test_a_pipe_that_is_named_is_looked_at(argv: tuple[str, ...]) -> None:
    """Catches a - that is obeyed against --no-stdin, or the other way round, in silence."""
    assert_one_line(run(*argv, "--no-stdin", stdin=b"{}"), 2, "--no-stdin: - reads the")


def test_few_shot_queries_come_from_a_pipe_as_prompts_do(base_model: Path) -> None:
    """Catches a text of a pipe that is dropped beside a query, and one that is read unasked."""
    ask = ("few-shot", "-m", str(base_model), *PAIRS, "--show-prompt")
    for argv, stdin, query in (
        (("q",), b"from the pipe\n", "from the pipe\nq"),
        (("q", "--no-stdin"), b"from the pipe\n", "q"),
        (("q",), b"", "q"),
        ((), b"line\nother\n", "line"),
    ):
        found = run(*ask, *argv, stdin=stdin)
        assert found.text.endswith(f"\n\nInput: {query}\nOutput:"), found
    assert_one_line(run(*ask, "--no-stdin", stdin=b"a\n"), 2, "query: is missing")


class Waiting:
    """A command whose stdin is a pipe into which nothing is written before it tells of that."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
        monkeypatch.setattr(environment_module, "_SILENCE", seconds)

    def run(self, *argv: str, text: bytes = b"late", within: float = 30) -> tuple[str, str]:
        """What it writes; within: seconds after which the pipe has its text anyway."""
        reads, writes = os.pipe()
        out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()

        def write() -> None:
            wait_for(err.getvalue, within)
            # Nobody may be there by then.
            with suppress(BrokenPipeError):
                os.write(writes, text)
            os.close(writes)

        writer = threading.Thread(target=write)
        with os.fdopen(reads, encoding="utf-8") as stdin:
            writer.start()
            assert main(argv, Environment(stdin, out, err, os.environ)) == 0
        writer.join()
        return out.buffer.getvalue().decode(), err.getvalue()  # type: ignore[attr-defined]


def test_a_silent_pipe_is_told_of(base_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a command that hangs and does not say why, or says it for nothing, or on stdout."""
    waiting = Waiting(monkeypatch, 0.05)
    hint = "gptcli: hint: stdin: nothing has come of the pipe yet, which is waited for"
    assert waiting.run(*ECHO, "a") == (" late a", f"{hint}; --no-stdin does without it\n")
    assert waiting.run(*ECHO) == (" late", f"{hint}\n")
    assert waiting.run(*ECHO, "-q", "a", within=0.4) == (" late a", "")
    assert waiting.run(*ECHO, "--no-stdin", "a", within=0) == (" a", "")
    rows = waiting.run("few-shot", "-m", str(base_model), *PAIRS, "-n", "1", text=b"a\nb\n")
    assert rows[0].count("\n") == 2 and rows[1] == f"{hint}\n"
    patient = Waiting(monkeypatch, 5.0)
    assert patient.run(*ECHO, "a", within=0) == (" late a", "")
    # Closed, and so not waited for.
    assert patient.run(*ECHO, "a", text=b"", within=0) == (" a", "")
