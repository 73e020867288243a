"""Lines that are read as they come."""

from __future__ import annotations

import io
import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from gptcli.cli.line_source import LineSource
from tests.backends.test_few_shot import directory  # noqa: F401 - a fixture


@given(st.lists(st.binary(max_size=9).map(lambda data: data + b"\n" * (len(data) % 2))))
def test_equals_readline(pieces):
    """Catches a byte that is lost or doubled where pieces meet."""
    whole = b"".join(pieces)
    ours, theirs = LineSource(io.BytesIO(whole)), io.BytesIO(whole)
    while line := theirs.readline(5):
        assert ours.readline(5) == line
    assert ours.readline(5) == b""


def test_waiting():
    """Catches a line that is held back while more are waited for, and an end that is not seen."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file:
        source = LineSource(file)
        assert source.waiting()
        os.write(writer, b"one\ntwo\nthr")
        assert not source.waiting()
        assert source.readline(100) == b"one\n"
        assert not source.waiting()
        assert source.readline(100) == b"two\n"
        assert source.waiting()
        os.write(writer, b"ee")
        os.close(writer)
        assert not source.waiting()
        assert source.readline(100) == b"three"
        assert source.readline(100) == b""
    assert not LineSource(io.BytesIO(b"x")).waiting()


def test_a_slow_pipe_is_answered_as_it_comes(directory):  # noqa: F811
    """Catches an answer that waits until a batch is full or the pipe is closed."""
    command = [sys.executable, "-m", "gptcli", "few-shot", "-m", str(directory), "-n", "3"]
    pairs = ["--example", "the cat", "sat", "--example", "the dog", "log"]
    with subprocess.Popen(
        [*command, *pairs], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        for query in ("the mat", "a", "together"):
            child.stdin.write(f"{query}\n")
            child.stdin.flush()
            assert child.stdout.readline().endswith("\n")
        child.stdin.close()
        assert child.wait(60) == 0
        assert child.stdout.read() == ""
