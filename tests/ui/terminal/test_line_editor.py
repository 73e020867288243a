"""The input line of a chat, on a terminal."""

from __future__ import annotations

import sys

import pexpect

# Without a shell around it a process is not stopped, but it is told.
_READ = """
import os, signal, sys
from gptcli.ui.terminal.line_editor import LineEditor
signal.signal(signal.SIGTSTP, lambda *_: os._exit(7))
print("read", LineEditor(sys.stdin, sys.stdout, None, {}, lambda name: ()).read())
"""


def test_ctrl_z_suspends():
    """Catches a Ctrl-Z that becomes a letter of the message."""
    child = pexpect.spawn(sys.executable, ["-c", _READ], encoding="utf-8", timeout=30)
    child.expect("0m>")
    child.send("\x1a\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 7, child.before
