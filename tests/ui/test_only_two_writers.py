"""Two writers and no third: everything that a view says goes through one of them, byte for byte."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gptcli import ui

ROOM = Path(ui.__file__).parent
#: The only files that hold a stream: the writers, messages on stderr, what draws on its own screen.
WRITERS = {"data/writer.py", "terminal/writer.py", "terminal/messages.py"}
FILES = sorted(path.relative_to(ROOM).as_posix() for path in ROOM.rglob("*.py"))
#: What a stream, or a console of Rich's, writes with; and the names under which views hold writers.
WRITING = {"write", "writelines", "print"}
HELD = {"writer", "self._writer", "TerminalWriter(stream)", "DataWriter(stream)"}


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
            found += [] if ast.unparse(called.value) in HELD else [ast.unparse(node)]
    return found


@pytest.mark.parametrize("name", [name for name in FILES if name not in WRITERS])
def test_nothing_else_writes(name):
    """Catches a third writer: in the locale's encoding, or with control characters in effect."""
    assert other_writing((ROOM / name).read_text()) == []


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


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C.UTF-8"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:replace"},
    ],
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
