"""Running the command line in this process."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass

import pytest

from gptcli.cli.boundary import main


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


def run(*argv: str, stdin: bytes | None = b"", terminal: bool = False) -> Done:
    """Run gptcli with these arguments; stdin None is a terminal on which nothing is typed."""
    out, err = io.BytesIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        kind = _Terminal if stdin is None else io.TextIOWrapper
        patch.setattr(sys, "stdin", kind(io.BytesIO(stdin or b"")))
        stdout = (_Terminal if terminal else io.TextIOWrapper)(out, encoding="utf-8")
        patch.setattr(sys, "stdout", stdout)
        patch.setattr(sys, "stderr", err)
        code = main(argv)
        stdout.flush()
    return Done(code, out.getvalue(), err.getvalue())
