"""Running the command line in this process."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pexpect

from gptcli import config
from gptcli.cli.boundary import main
from gptcli.cli.environment import Environment


@dataclass(frozen=True)
class Done:
    """What one command line gave."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def spawn(*argv: str, columns: int = 60, **env: str) -> pexpect.spawn:
    """gptcli in a process of its own, on a terminal of its own."""
    return pexpect.spawn(
        sys.executable,
        ["-m", "gptcli", *argv],
        dimensions=(24, columns),
        encoding="utf-8",
        timeout=60,
        env=os.environ | {"TERM": "xterm-256color"} | env,
    )


def run(*argv: str, stdin: bytes | None = b"", terminal: bool = False) -> Done:
    """Run gptcli with these arguments; stdin None is a terminal on which nothing is typed."""
    out, err = io.BytesIO(), io.StringIO()
    kind = _Terminal if stdin is None else io.TextIOWrapper
    stdout = (_Terminal if terminal else io.TextIOWrapper)(out, encoding="utf-8")
    typed = kind(io.BytesIO(stdin or b""))
    code = main(argv, Environment(typed, stdout, err, os.environ))
    stdout.flush()
    return Done(code, out.getvalue(), err.getvalue())


def settings_file(text: str) -> Path:
    """The user's settings file, where there was none."""
    path = config.user_file()
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path
