"""The reader of rows: as they come, named where they are wrong, one rule for every command."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.cli.environment import Environment
from gptcli.cli.flags.source import Spoken
from gptcli.cli.input.lines import lines_of_file, lines_of_text, pieces
from gptcli.cli.input.prompt_rows import prompts, texts
from gptcli.cli.input.rows import Tolerant, read_rows, rows_as_they_come, rows_of
from gptcli.errors import InputError
from gptcli.types.rows import Row
from tests.backends.test_few_shot import directory  # noqa: F401 - a fixture

#: Nothing is read from it here.
AROUND = Environment(None, io.StringIO(), io.StringIO(), {})


@given(st.lists(st.binary(max_size=9).map(lambda data: data + b"\n" * (len(data) % 2))))
def test_equals_readline(written):
    """Catches a byte that is lost or doubled where pieces meet."""
    whole = b"".join(written)
    theirs = io.BytesIO(whole)
    for line in pieces(io.BytesIO(whole), 5):
        assert line == theirs.readline(5)
    assert theirs.readline() == b""


def test_none_comes_before_every_wait():
    """Catches a line that is held back while more are waited for, and an end that is not seen."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file:
        lines = pieces(file, 100)
        assert next(lines) is None
        os.write(writer, b"one\ntwo\nthr")
        assert [next(lines), next(lines), next(lines)] == [b"one\n", b"two\n", None]
        os.write(writer, b"ee")
        assert next(lines) is None
        os.close(writer)
        assert list(lines) == [b"three"]
    assert list(pieces(io.BytesIO(b"x"), 100)) == [b"x"]


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


@pytest.mark.parametrize(
    "line", ['{"prompt": "a", "text": "b", "x": 1, "x": 1}', '{"x": {"x": 1, "x": 2}}']
)
def test_a_key_that_is_given_twice_is_an_error(line, tmp_path):
    """Catches the last of two values that is taken without a word, by any of the readers."""
    path = tmp_path / "p.jsonl"
    path.write_text(line)
    for read in (
        lambda: read_rows(AROUND, path, "jsonl"),
        lambda: prompts(line, str(path), "jsonl"),
        lambda: texts(AROUND, Spoken(file=(path,))),
    ):
        with pytest.raises(InputError, match=r"p\.jsonl: line 1: has the key 'x' twice"):
            list(read())


def test_what_is_wrong_with_a_long_row_is_said_at_once(tmp_path):
    """Catches time that grows with the square of a row, and messages as long as it is, or
    Python's own.
    """
    names = [f"k{n}" for n in range(100_000)]
    pairs = ",".join(f'"{name}":1' for name in names)
    for kind, written, reason in (
        ("jsonl", f'{{{pairs},"k99999":2}}', "has the key 'k99999' twice"),
        ("csv", f"{','.join(names)}\n1", "has 1 cells under 100000 heads"),
        ("csv", f"{','.join(names)},k99999\n1", "has the column 'k99999' twice"),
        ("jsonl", f'{{"x": {"9" * 5000}}}', "is JSON with a number of too many digits"),
        ("jsonl", "[" * 100_000, "is JSON that is nested too deeply"),
    ):
        path = tmp_path / "long"
        path.write_text(written)
        with pytest.raises(InputError) as caught:
            list(read_rows(AROUND, path, kind))
        assert caught.value.reason == reason
    row = Row("r", 1, dict.fromkeys(names, 1))
    with pytest.raises(InputError) as caught:
        row.text("input", "--input-field")
    assert len(caught.value.reason) < 300


def test_a_text_and_a_file_have_the_same_rows(tmp_path):
    """Catches a second rule for ends of lines, empty ones, or where a row came from."""
    for kind, written in (
        ("lines", "a\r\n b\u2028c \n\n"),
        ("jsonl", '\n{"x": 1}\r\n  \n{"y": "\u2028"}'),
        ("csv", 'x,y\n1,"2\n3"\n'),
        ("tsv", "x\ty\n\n1\t2\n"),
    ):
        path = tmp_path / "rows"
        path.write_text(written, newline="")
        found = list(rows_of(lines_of_file(AROUND, path), kind))
        assert found == list(rows_of(lines_of_text(written, str(path)), kind))
        assert all(each is not None and each.number for each in found)


def test_rows_of_a_batch(tmp_path):
    """Catches an empty line that is a row, lines that are numbered anew, and a table that is asked
    row after row for what none of them has.
    """
    path = tmp_path / "rows"
    path.write_text("\na\n \n\nb\n\n")
    reading = Tolerant(("prompt",))
    found = [each for each in rows_as_they_come(AROUND, path, "lines", reading) if each]
    assert [(each.number, each.values) for each in found] == [(2, {"": "a"}), (5, {"": "b"})]
    assert reading.empty == 3
    path.write_text("\n" * 2500 + "a")
    (row,) = rows_as_they_come(AROUND, path, "lines", reading)
    assert (row.number, reading.empty) == (2501, 2503)
    path.write_text("text,id\na,1\n")
    with pytest.raises(InputError, match=r"rows: line 1: has no column message or prompt, but tex"):
        list(rows_as_they_come(AROUND, path, "csv", Tolerant(("message", "prompt"))))
    (row,) = rows_as_they_come(AROUND, path, "csv", Tolerant(("text", "prompt")))
    assert row.table


def test_halves_of_a_character_are_no_text(tmp_path):
    """Catches a text that no tokenizer can take, wherever in a row it stands."""
    path = tmp_path / "rows"
    for line in ('{"a": ["\\ud800"]}', '{"\\uDFFF": 1}', '{"a": "\\ude00\\ud83d"}'):
        path.write_text(line)
        with pytest.raises(InputError, match="line 1: holds half of a surrogate pair"):
            list(read_rows(AROUND, path, "jsonl"))
    path.write_text('{"a": "\\ud83d\\ude00"}')
    assert [row.values for row in read_rows(AROUND, path, "jsonl")] == [{"a": "\U0001f600"}]


def test_prompts_of_spaces_are_prompts_and_empty_lines_at_the_end_are_none():
    """Catches a prompt of spaces that is dropped in silence, and one of nothing that is taken."""
    found = list(prompts("  \na\r\n \n\n\n", "p", "lines"))
    assert found == [("p: line 1", "  "), ("p: line 2", "a"), ("p: line 3", " ")]
    with pytest.raises(InputError, match=r"p: line 1: is empty"):
        list(prompts("\na", "p", "lines"))
    with pytest.raises(InputError, match=r"^p: is empty"):
        list(prompts("\n\n", "p", "lines"))
    with pytest.raises(InputError, match=r"p: line 2: is empty"):
        list(prompts('\n{"prompt": ""}', "p", "jsonl"))


def test_lines_have_a_longest(tmp_path):
    """Catches a file without newlines that is read whole."""
    path = tmp_path / "p"
    path.write_bytes(b"a" * (1 << 20) + b"\n" + b"b" * ((1 << 20) + 1))
    lines = lines_of_file(AROUND, path, 1 << 20)
    with pytest.raises(InputError, match=r"p: line 1: is longer than 1 MiB"):
        next(lines)
    assert next(lines_of_file(AROUND, path, (1 << 20) + 1)).number == 1
    with pytest.raises(InputError, match="is not a file"):
        next(lines_of_file(AROUND, tmp_path))


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
