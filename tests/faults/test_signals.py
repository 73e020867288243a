"""A signal ends the tool: by that signal, wherever it comes, and nothing is left over."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from shutil import which

import pexpect
import pytest

from tests.cli.helpers import spawn
from tests.faults.processes import FOREVER, GPTCLI, catches, wait_for

pytestmark = pytest.mark.slow

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def script(code: str, *, install: bool = True) -> list[str]:
    """A program that has its signals as the tool has them, or else as one would without."""
    begin = "from gptcli import signals; signals.install()" if install else PLAIN
    return [sys.executable, "-c", f"{begin}\n{textwrap.dedent(code)}"]


PLAIN = """
import signal, sys
for each in (signal.SIGTERM, signal.SIGHUP): signal.signal(each, lambda *_: sys.exit(9))
"""


def ended(command: list[str], *numbers: int, **more: object) -> tuple[int, str]:
    """How a program ends that gets signals as soon as it has written a line; what it wrote then."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more
    )  # type: ignore[call-overload]
    assert process.stdout.readline() == "here\n"
    for number in numbers:
        time.sleep(0.1)
        process.send_signal(number)
    said = process.communicate(timeout=30)[0]
    return process.returncode, said


SWALLOWS = """
import time
try:
    print("here", flush=True)
    time.sleep(0.5)
except BaseException:
    pass
"""
IMPORTS = """
import sys
sys.path.append(sys.argv[-1])
import swallowing
print("went on")
"""


@pytest.mark.parametrize("number", ENDING)
def test_no_import_swallows_a_signal(tmp_path: Path, number: int) -> None:
    """A library that is imported may swallow the exception: torch did, and `merge` wrote 269 MB."""
    (tmp_path / "swallowing.py").write_text(SWALLOWS)
    faulty = ended([*script(IMPORTS, install=False), str(tmp_path)], number)
    assert faulty == (0, "went on\n"), "the fault itself"
    code, said = ended([*script(IMPORTS), str(tmp_path)], number)
    assert "went on" not in said and code in (1, 128 + number, -number)


def test_a_signal_within_a_destructor_comes_again() -> None:
    """What is raised in __del__ is printed and lost."""
    code = """
        import time
        class Slow:
            def __del__(self):
                print("here", flush=True)
                for _ in range(5): time.sleep(0.1)
        Slow()
        time.sleep(1)
        print("went on")
    """
    assert ended(script(code, install=False), signal.SIGTERM)[1].endswith("went on\n")
    assert ended(script(code), signal.SIGTERM) == (143, "")


def test_a_window_that_closes_sends_two_and_the_second_breaks_nothing() -> None:
    """The kernel sends one to the group, the shell one to its job; the first is being obeyed."""
    code = """
        import time
        try:
            print("here", flush=True)
            time.sleep(9)
        finally:
            for _ in range(5): time.sleep(0.1)
            print("cleaned", flush=True)
    """
    assert "cleaned" not in ended(script(code, install=False), signal.SIGHUP, signal.SIGHUP)[1]
    assert ended(script(code), signal.SIGHUP, signal.SIGHUP, signal.SIGTERM) == (129, "cleaned\n")


def test_what_is_ignored_stays_ignored() -> None:
    """nohup has us ignore SIGHUP, a shell has those in its background ignore Ctrl-C."""
    command = " ".join(["trap '' HUP INT; exec", *GPTCLI, *FOREVER])
    process = subprocess.Popen(
        ["sh", "-c", command], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL
    )
    assert wait_for(lambda: catches(process.pid, signal.SIGTERM))
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.terminate()
    assert process.wait(30) == -signal.SIGTERM


LOOP = "for i in 1 2 3 4 5 6 7 8 9; do echo round $i; {}; done; echo after"
#: What a program does that takes the signal for itself and gives its code in its place.
CODE_130 = f"{sys.executable} -c 'import os, signal, time;" + (
    " signal.signal(signal.SIGINT, lambda *_: os._exit(130));"
    ' os.write(2, b"up\\n"); time.sleep(9)\''
)


def rounds(command: str, ready: str, shell_: str = "bash") -> int:
    """How many rounds of a shell's loop were begun, with one Ctrl-C in the first."""
    shell = pexpect.spawn(
        shell_, ["-c", LOOP.format(command)], encoding="utf-8", timeout=30, dimensions=(24, 80)
    )
    shell.expect_exact(ready)
    time.sleep(0.3)
    shell.sendintr()
    index = shell.expect_exact(["round 2", pexpect.EOF])
    shell.close(force=True)
    return 2 if index == 0 else 1


def test_a_loop_of_the_shell_ends_at_the_first_ctrl_c() -> None:
    """bash goes on where a program catches the signal and exits with 130 instead."""
    assert rounds(CODE_130, "up") == 2, "the fault itself"
    ours = " ".join([*GPTCLI, *FOREVER])
    assert [rounds(ours, "word word", shell) for shell in ("bash", "zsh") if which(shell)] in (
        [1],
        [1, 1],
    )


def test_a_ctrl_c_before_anything_is_set_up_is_the_signal_too() -> None:
    """It came while the first modules were read, and was the code 130: loops went on."""
    code = """
        import gptcli.__main__ as tool
        def interrupted(): raise KeyboardInterrupt
        tool._leave_working_directory = interrupted
        print("here", flush=True)
        tool.run()
    """
    assert ended([sys.executable, "-c", textwrap.dedent(code)]) == (-signal.SIGINT, "")


@pytest.mark.parametrize(
    ("flags", "ready", "number"),
    [
        (["chat", "-m", "echo"], "?25h", signal.SIGTERM),
        (["chat", "-m", "echo"], "?25h", signal.SIGHUP),
        (["top-k", "--pick", "the cat", "-m"], "q leaves", signal.SIGTERM),
        (["explain", "--step", "the cat", "-m"], "q leaves", signal.SIGHUP),
    ],
    ids=["chat ended", "chat hung up", "pick", "step"],
)
def test_the_terminal_is_as_it_was(
    flags: list[str], ready: str, number: int, tiny_model: Path
) -> None:
    """It stayed raw, its cursor hidden, on the alternate screen."""
    import termios

    import pyte

    argv = flags if flags[-1] == "echo" else [*flags, str(tiny_model)]
    tool = spawn(*argv, columns=80)
    before = termios.tcgetattr(tool.child_fd)
    tool.expect_exact(ready)
    seen = tool.before + tool.after
    time.sleep(0.2)
    assert termios.tcgetattr(tool.child_fd) != before, "the fault itself: it is another by now"
    tool.kill(number)
    tool.expect(pexpect.EOF)
    seen += tool.before
    after = termios.tcgetattr(tool.child_fd)
    tool.close()
    assert tool.signalstatus == number and after == before
    screen = pyte.Screen(80, 24)
    pyte.Stream(screen).feed(seen)
    assert not screen.cursor.hidden and seen.count("\x1b[?1049h") == seen.count("\x1b[?1049l")
    assert seen.count("\x1b[?2004h") <= seen.count("\x1b[?2004l")
    assert "Traceback" not in seen and "error" not in seen
