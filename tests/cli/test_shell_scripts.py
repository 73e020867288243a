"""The tool within a shell's script: loops, traps and pipes go on as with `cat` in its place."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pexpect
import pytest

from tests.faults.processes import GPTCLI, catches, marked, wait_for

pytestmark = pytest.mark.slow

SHELLS = [shell for shell in ("bash", "zsh") if shutil.which(shell)]
#: It says each word of its input again, and adds neither a newline nor anything else.
TOOLS = {"cat": ["cat"], "gptcli": [*GPTCLI, "complete", "-m", "echo", "-n", "-1"]}
#: Each waits for its pipe to be closed; the last line is reached by nobody who stops it before.
SCRIPT = r"""
set -o pipefail
trap 'echo leaving' EXIT
trap 'echo stopped; exit 7' INT
trap 'echo; echo signalled' USR1
for word in one two; do echo "$word" | "$@"; echo " = $?"; done
echo a b c | "$@" | tr a-c A-C | "$@"; echo " = $?"
while read -r line; do printf '%s\n' "$line" | "$@"; echo; done <<END
a line
and the next
END
text=$(echo what is captured | "$@"); echo "got" $text "= $?"
if echo yes | "$@" | grep -q yes; then echo found; else echo missing; fi
seq 20000 | "$@" | head -c 5 >/dev/null; echo "left by its reader = $?"
{ kill -USR1 $$; echo after it; } | "$@"; echo " = $?"
echo a full disk | "$@" >/dev/full 2>/dev/null || echo failed
sleep 2 2>/dev/null | "$@" & sleep 0.6; kill -TERM $!; wait $!; echo "ended = $?"
echo in the background | "$@" & wait $!; echo " = $?"
echo ready; sleep 20 | "$@"; echo "interrupted = $?"
"""


def words(shown: str) -> list[str]:
    """What was shown, but for spaces, which the tool sets otherwise than its input had them."""
    return shown.replace("^C", " ").split()


def is_up(mark: str, tool: str) -> bool:
    """Whether what waits for the last pipe, and catches signals, is there; soon."""
    if tool == "cat":
        return wait_for(lambda: any(_name(pid) == "cat" for pid in marked(mark)))
    return wait_for(lambda: any(catches(pid, signal.SIGTERM) for pid in marked(mark)))


def _name(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def on_a_terminal(shell: str, tool: str, script: Path) -> tuple[list[str], int]:
    mark = uuid4().hex
    env = os.environ | {"MARK": mark, "TERM": "dumb"}
    child = pexpect.spawn(
        shell,
        [str(script), *TOOLS[tool]],
        encoding="utf-8",
        timeout=60,
        env=env,
        echo=False,
        # Python ignores it, and so would whatever it starts.
        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL),
    )
    child.expect_exact("ready")
    seen = child.before
    assert is_up(mark, tool)
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    return words(seen + child.before), child.exitstatus


def in_a_pipe(shell: str, tool: str, script: Path) -> tuple[list[str], int]:
    mark = uuid4().hex
    process = subprocess.Popen(
        [shell, str(script), *TOOLS[tool]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"MARK": mark},
        start_new_session=True,
    )
    seen = ""
    while "ready" not in seen:
        line = process.stdout.readline()
        assert line, seen
        seen += line
    assert is_up(mark, tool)
    os.killpg(process.pid, signal.SIGINT)
    seen += process.communicate(timeout=60)[0]
    return words(seen.replace("ready", "")), process.returncode


@pytest.mark.parametrize("way", [on_a_terminal, in_a_pipe], ids=["terminal", "pipe"])
@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_goes_on_as_with_cat(
    shell: str, way: Callable[[str, str, Path], tuple[list[str], int]], tmp_path: Path
) -> None:
    """Catches a status, a trap, an end of a loop or a word that another filter would not give."""
    script = tmp_path / "script.sh"
    script.write_text(SCRIPT)
    due, code = way(shell, "cat", script)
    assert code == 7 and due[-2:] == ["stopped", "leaving"]
    assert {"found", "signalled", "failed"} <= {*due} and "missing" not in due
    assert way(shell, "gptcli", script) == (due, code)
