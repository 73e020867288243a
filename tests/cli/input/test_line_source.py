"""Lines that are read as they come."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.cli.environment import Environment
from gptcli.cli.input.line_source import lines_as_they_come
from gptcli.cli.input.rows import Row, read_rows, rows_as_they_come
from gptcli.errors import InputError
from tests.backends.test_few_shot import directory  # noqa: F401 - a fixture

#: Nothing is read from it here.
AROUND = Environment(None, io.StringIO(), io.StringIO(), {})


@given(st.lists(st.binary(max_size=9).map(lambda data: data + b"\n" * (len(data) % 2))))
def test_equals_readline(pieces):
    """Catches a byte that is lost or doubled where pieces meet."""
    whole = b"".join(pieces)
    theirs = io.BytesIO(whole)
    for line in lines_as_they_come(io.BytesIO(whole), 5):
        assert line == theirs.readline(5)
    assert theirs.readline() == b""


def test_none_comes_before_every_wait():
    """Catches a line that is held back while more are waited for, and an end that is not seen."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file:
        lines = lines_as_they_come(file, 100)
        assert next(lines) is None
        os.write(writer, b"one\ntwo\nthr")
        assert [next(lines), next(lines), next(lines)] == [b"one\n", b"two\n", None]
        os.write(writer, b"ee")
        assert next(lines) is None
        os.close(writer)
        assert list(lines) == [b"three"]
    assert list(lines_as_they_come(io.BytesIO(b"x"), 100)) == [b"x"]


@pytest.mark.parametrize(
    ("kind", "first", "rest"),
    [
        ("lines", b"a\n\nb", b"\n"),
        ("lines", b"a\nb", b"c\n"),
        ("jsonl", b'{"x": 1}\n\n', b'{"x": 2}\n'),
        ("jsonl", b'{"x": 1}\n{"x"', b": 2}\n"),
        ("csv", b'x,y\n1,2\n3,"4\n', b'5"\n'),
    ],
)
def test_a_row_is_there_when_it_has_come(kind, first, rest, tmp_path):
    """Catches a row that is held until the one after it is whole."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = os.open(fifo, os.O_RDWR)
    rows = rows_as_they_come(AROUND, fifo, kind)
    os.write(writer, first)
    found = [next(rows), next(rows)]
    assert isinstance(found[0], Row) and found[1] is None
    os.write(writer, rest)
    os.close(writer)
    if kind == "lines" and b"\n\n" in first:
        with pytest.raises(InputError, match=r"line 2: is empty"):
            list(rows)
    else:
        assert len([row for row in rows if row is not None]) == 1


def test_where_rows_begin(tmp_path):
    """Catches a quote left open that is told of at the end of the file, and lines at the end."""
    path = tmp_path / "x.csv"
    path.write_text('x\n1\n"2\n3\n')
    with pytest.raises(InputError, match=r"x\.csv: line 3: unexpected end of data"):
        list(read_rows(AROUND, path, "csv"))
    path.write_text('x,y\n\n"1\n2",""""\n')
    assert [row.values for row in read_rows(AROUND, path, "csv")] == [{"x": "1\n2", "y": '"'}]
    path.write_text("a\n\n \n")
    assert [row.values for row in read_rows(AROUND, path, "lines")] == [{"": "a"}]


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
