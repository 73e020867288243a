"""What documents show in console blocks is what the tool prints."""

from __future__ import annotations

import os
import re
import shlex
import sys
from itertools import chain
from pathlib import Path

import pexpect
import pytest

from tests.ui.screens import seen

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "tests" / "bench" / "README.md",
    *sorted((ROOT / "gptcli" / "cli" / "manual").rglob("*.md")),
]
#: Words of a command whose output another machine need not repeat, and why not.
NOT_COMPARED = {
    "bench": "how fast a machine is",
    "--stats": "how fast a machine is",
    "--seed": "a draw is the same on one kind of machine only",
}
WIDTH = 100
BAR = frozenset("█▉▊▋▌▍▎▏")


def blocks(text: str) -> list[tuple[str, str]]:
    """Commands, after `$ `, and what is shown of their output, of all console blocks of a text."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def compared(command: str) -> bool:
    return not NOT_COMPARED.keys() & set(shlex.split(command))


def alike(shown: str, printed: str) -> bool:
    """Word by word: line breaks and columns may differ, and numbers as instructions differ.

    A last line … stands for all that follows.
    """
    ours, theirs = shown.split(), printed.split()
    if ours[-1:] == ["…"]:
        ours, theirs = ours[:-1], theirs[: len(ours) - 1]
    return len(ours) == len(theirs) and all(map(_same, ours, theirs))


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    if set(one + other) <= BAR:
        return abs(len(one) - len(other)) <= 1
    number = re.compile(r"-?\d+\.\d+(%?)")
    a, b = number.fullmatch(one), number.fullmatch(other)
    if not (a and b and a[1] == b[1]):
        return False
    return float(one.rstrip("%")) == pytest.approx(float(other.rstrip("%")), rel=0.01, abs=0.01)


SHOWN = list(chain.from_iterable(blocks(path.read_text()) for path in DOCUMENTS))


@pytest.mark.parametrize(("command", "output"), [each for each in SHOWN if compared(each[0])])
def test_output_is_what_the_tool_prints(command, output, with_default_model, tmp_path):
    """Catches a screen that was true of an earlier version."""
    assert alike(output, printed(command, tmp_path)), printed(command, tmp_path)


def printed(command: str, place: Path) -> str:
    """What a person sees of a command on a terminal without colours."""
    script = place / "gptcli"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gptcli "$@"\n')
    script.chmod(0o755)
    env = os.environ | {
        "PATH": f"{place}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TERM": "xterm-256color",
        "COLUMNS": str(WIDTH),
        "NO_COLOR": "1",
    }
    child = pexpect.spawn(
        "bash", ["-c", command], env=env, encoding="utf-8", timeout=300, dimensions=(50, WIDTH)
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    return "\n".join(seen(child.before.replace("\r\n", "\n"), WIDTH))


SAMPLE = """
```sh
gptcli chat
```
```console
$ gptcli top-k -k 1 a
#  token  probability
1  ␣Paris      74.67%  █████▊
$ gptcli complete --temp 0 a
 b
c
```
"""


def test_blocks_are_read_and_compared():
    """Catches a pattern that finds no block, and a comparison to which all is alike."""
    (first, table), (second, text) = blocks(SAMPLE)
    assert (first, second) == ("gptcli top-k -k 1 a", "gptcli complete --temp 0 a")
    assert compared(first) and not compared("gptcli complete --seed 7 a")
    assert alike(table, table) and alike(text, " b c\n")
    assert alike(table, table.replace("74.67", "74.65").replace("▊", "▌"))
    for wrong in ("77.67%", "74.67", "0.7467"):
        assert not alike(table, table.replace("74.67%", wrong))
    assert not alike(table, table.replace("Paris", "London"))
    assert not alike(table, table.replace("█████", "██"))
    assert not alike(text, text + "d\n") and not alike(text, "")
    assert alike(" b\n…\n", text) and not alike(" c\n…\n", text)


def test_a_command_is_run_on_a_terminal(tmp_path):
    """Catches a comparison with what a pipe gets, or with nothing."""
    assert printed("gptcli complete -m echo -n 3 'a b c'", tmp_path).split() == ["a", "b", "c"]
    table = printed(f"gptcli models show {ROOT}/tests/goldens/llama/tied", tmp_path).splitlines()
    assert "family      llama" in table
