"""`gptcli tokens`, with the tiny model's tokenizer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line

TEXT = "the cat sat <|role|>\n日 é\t"


@pytest.fixture(scope="module")
def tokens(tiny_model: Path):
    """`tokens` with the tiny model."""
    return lambda *argv, **more: run("tokens", "-m", str(tiny_model), *argv, **more)


def test_every_form_says_the_same(tokens):
    """Catches forms that drift apart: TSV, ids, count and JSON are of one cut."""
    found = json.loads(tokens("--json", TEXT).text)
    ids = [each["id"] for each in found["tokens"]]
    assert b"".join(bytes(each["bytes"]) for each in found["tokens"]).decode() == TEXT
    assert (found["count"], found["characters"], found["bytes"]) == (
        len(ids),
        len(TEXT),
        len(TEXT.encode()),
    )
    assert tokens("--ids", TEXT).text == " ".join(map(str, ids)) + "\n"
    assert tokens("--count", TEXT).text == f"{len(ids)}\n"
    head, *rows = (line.split("\t") for line in tokens(TEXT).text.splitlines())
    assert head == ["position", "token", "id", "bytes", "special"]
    assert [(int(row[0]), int(row[2])) for row in rows] == list(enumerate(ids))
    assert sum(int(row[3]) for row in rows) == len(TEXT.encode())


@pytest.mark.parametrize("text", ["a", "the cat\n\n", " 日 é\t\x00\r\n", "\ufeff🙂", "<|role|>"])
def test_ids_decode_to_the_exact_text(tokens, text):
    """Catches a byte lost, added, or replaced on the way to ids and back."""
    ids = tokens("--ids", "-f", "-", "--verbatim", stdin=text.encode()).text
    assert tokens("--decode", ids).out == text.encode()
    assert tokens("--decode", "-", stdin=ids.encode()).out == text.encode()


def test_half_a_character_is_decoded_to_its_bytes(tokens):
    """Catches U+FFFD in a pipe, and bytes that a terminal would stumble over."""
    first = tokens("--ids", "日").text.split()[0]
    assert tokens("--decode", first).out == "日".encode()[:1]
    assert tokens("--decode", first, terminal=True).text == "\\xe6\n"
    assert "\t\\xe6\t" in tokens("日").text


def test_control_tokens_only_where_they_are_wanted(tokens):
    """Catches text that becomes a control token, and one that does so unmarked."""
    plain = tokens("--json", "<|role|>")
    assert "<|role|> is read as plain text" in plain.err
    assert not any(each["special"] for each in json.loads(plain.text)["tokens"])
    special = tokens("--json", "--special", "<|role|>")
    assert special.err == ""
    assert [each["special"] for each in json.loads(special.text)["tokens"]] == [True]
    assert tokens("--special", "<|role|>").text.splitlines()[1].endswith("\t1")
    assert tokens("--decode", "1").text == "<|role|>"


def test_an_empty_text_counts_as_nothing_and_is_else_refused(tokens, tmp_path):
    """Catches a script that stumbles over an empty file, and an empty table that looks right."""
    empty = tmp_path / "empty"
    empty.touch()
    for argv in (("--count", ""), ("--count", "-f", str(empty)), ("--count", "-")):
        assert tokens(*argv).text == "0\n"
    assert_one_line(tokens(""), 4, "text: is empty")
    assert_one_line(tokens("--ids", "-f", str(empty)), 4, "text: is empty")
    assert_one_line(tokens(stdin=None), 2, "text: is missing", "gptcli tokens")


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("--decode", "x"), 2, "--decode: must be ids"),
        (("--decode", "1;2"), 2, "'1;2' is none"),
        (("--decode", "-1"), 2, "'-1' is none"),
        (("--decode", "1.5"), 2, "'1.5'"),
        (("--decode", "²"), 2, "'²'"),
        (("--decode", ", ,"), 2, "names no token"),
        (("--decode", ""), 2, "names no token"),
        (("--decode", "9" * 5000), 2, "too large"),
        (("--decode", "1,300"), 4, "no token 300"),
        (("--decode", "99999999999"), 4, "no token 99999999999"),
        (("--decode", "1", "text"), 2, "no text as well"),
        (("--decode", "1", "--count"), 2, "--decode"),
        (("--ids", "--count", "a"), 2, "exclude each other"),
        (("--ids", "--json", "a"), 2, "exclude each other"),
        (("-m", "echo", "a"), 2, "echo: cannot cut a text"),
        (("-m", "nope", "a"), 3, "unknown model"),
        (("-f", "/no/such/file"), 4, "No such file"),
        (("a", "b"), 2, "in quotes"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else None,
)
def test_bad_command_lines(tokens, argv, code, part):
    """Catches a traceback, a wrong code, or a bad value that is taken as if it were good."""
    assert_one_line(tokens(*argv), code, part)


def test_torch_is_never_imported(tiny_model):
    """Catches seconds of start-up for a command that needs no engine."""
    code = (
        "import sys\nfrom gptcli.cli.boundary import main\n"
        "for argv in (['a'], ['--json', 'a'], ['--decode', '1']):\n"
        f"    assert main(['tokens', '-m', {str(tiny_model)!r}, *argv]) == 0\n"
        "assert 'tokenizers' in sys.modules\n"
        "assert not {'torch', 'numpy', 'safetensors'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
