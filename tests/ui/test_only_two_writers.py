"""Two writers and no third: all that is said goes through one of them, byte for byte."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gptcli
from tests.sweeps import in_turn

PACKAGE = Path(gptcli.__file__).parent
#: The only files that hold a stream: what is between it and all others, the writers, and messages
#: on stderr.
WRITERS = {f"ui/{name}.py" for name in ("data/writer", "terminal/writer", "terminal/messages")} | {
    "ui/terminal/stream.py"
}
FILES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for room in ("ui", "cli")
    for path in (PACKAGE / room).rglob("*.py")
)
#: What a stream, or a console of Rich's, writes with; and the names under which writers are held.
WRITING = {"write", "writelines", "print", "echo"}
HELD = {"writer", "self._writer", "terminal", "TerminalWriter", "DataWriter", "data"}
#: What has a method of that name that writes files, beside what goes to stdout.
EXPORTS = {"exports", "self"}


def holder(value: ast.expr) -> str:
    """What a writer is held by: `writer`; of `environment.terminal()`, `terminal`."""
    if not isinstance(value, ast.Call):
        return ast.unparse(value)
    made = value.func
    return made.attr if isinstance(made, ast.Attribute) else ast.unparse(made)


def other_writing(source: str) -> list[str]:
    """Calls in a file that write, but not through a writer."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id == "print":
            found.append(ast.unparse(node))
        elif isinstance(called, ast.Attribute) and called.attr in WRITING:
            found += [] if holder(called.value) in HELD | EXPORTS else [ast.unparse(node)]
    return found


@in_turn("name", [name for name in FILES if name not in WRITERS])
def test_nothing_else_writes(name):
    """Catches a third writer: in the locale's encoding, or with control characters in effect."""
    assert other_writing((PACKAGE / name).read_text()) == []


def test_the_search_finds_writing():
    """Catches a search that would miss what it is for."""
    lines = ["print(x)", "stream.write(x)", "console.print(x)", "s.writelines(x)", "writer.line(x)"]
    assert [len(other_writing(line)) for line in lines] == [1, 1, 1, 1, 0]


SCRIPT = """
import sys
from gptcli.types.sampling import Sampling
from gptcli.types.next_tokens import Candidate, Distribution, Spread, Step
from gptcli.types.token import Source, Token
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.views import next_tokens, printing, prompt_lines, walk
token = Token(1, "é日".encode())
each = Candidate(1, token, 0.5, -0.5, 0.6, 0.6)
found = Distribution(
    Source("mödel", "cpu", "float32"), "naïve\\n", 1, 2, Sampling(), ("logits",), (each,),
    Spread(1.0, 2), Spread(1.0, 2),
)
out = sys.stdout
next_tokens.show(out, found)
prompt_lines.show(out, [found])
list(walk.as_data(out, [Step(1, found, each)]))
printing.pairs(out, [("größe", "1\\t2")])
printing.table(out, ("a",), [["ü"]])
printing.blank(out)
DataWriter(out).json(next_tokens.as_json(found))
"""


LOCALES = (
    {"LC_ALL": "C.UTF-8"},
    {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1:replace"},
)


def test_help_has_the_same_bytes_under_every_locale():
    """Catches help that a script reads in the locale's encoding."""
    command = [sys.executable, "-m", "gptcli", "score", "--help"]
    found = {
        subprocess.run(
            command, capture_output=True, env=os.environ | locale, timeout=60, check=True
        ).stdout
        for locale in LOCALES
    }
    assert len(found) == 1
    assert not found.pop().isascii()


@pytest.mark.parametrize(
    "locale",
    LOCALES,
    ids=lambda each: " ".join(f"{name}={value}" for name, value in each.items()),
)
def test_a_pipe_gets_the_same_bytes_under_every_locale(locale, tmp_path):
    """Catches a table, a row or a key that a locale without é turns into ? or \\xe9."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, env=os.environ | locale, timeout=60
    )
    assert done.stderr == b""
    *lines, last = done.stdout.decode("utf-8").removesuffix("\n").split("\n")
    assert lines[0] == "rank\ttoken\tid\tlogit\tlogprob\tprobability\tdrawn\tcut_by"
    assert lines[1] == "1\té日\t1\t0.5\t-0.5\t0.6\t0.6\t"
    assert lines[2:4] == ["prompt\ttoken_1\tprobability_1", "naïve\\n\té日\t0.6"]
    assert lines[5].startswith("1\té日\t1\t1\t0.5")
    assert lines[6:] == ["größe\t1\\t2", "ü", ""]
    assert "mödel" in last
    assert json.loads(last)["top_logprobs"][0]["token"] == "é日"
