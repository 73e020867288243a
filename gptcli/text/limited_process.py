"""A child that runs what a stranger wrote, and is ended where it takes too much.

Template programs, and tokenizers met for the first time, are programs that nobody vouches for:
they may loop, or allocate without end, which only a process that can be limited is safe from.
The other end is `text.limited_worker`; both speak JSON, one object a line.
"""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import weakref
from contextlib import suppress
from typing import Any

from gptcli import children
from gptcli.errors import ModelError
from gptcli.plain import dataclass
from gptcli.units import size

#: Seconds on the clock for one of computing: a busy machine lets others work as well.
_WAIT = 20


@dataclass(frozen=True)
class Limits:
    """What a child may take.

    seconds: of computing, for one answer. memory: bytes beyond what its own modules take.
    longest: bytes of the line that is an answer.
    """

    seconds: float = 1.5
    memory: int = 192 << 20
    longest: int = 1 << 20


class LimitedProcess:
    """A module that serves (`limited_worker.serve`), as a child that starts at once.

    subject: what to call the stranger's file in errors.
    """

    def __init__(self, module: str, subject: str, limits: Limits) -> None:
        self._module, self._subject, self._limits = module, subject, limits
        self._start()

    def _start(self) -> None:
        limits = self._limits
        self._process = subprocess.Popen(
            children.command(self._module, str(limits.seconds), str(limits.memory)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C in the terminal does not reach it.
            start_new_session=True,
        )
        self._close = weakref.finalize(self, _end, self._process)

    @property
    def runs(self) -> bool:
        """Whether it was not ended yet: one that was has forgotten what it was told."""
        return self._close.alive

    def restart(self) -> None:
        """Begin anew, with a child that knows nothing."""
        self.close()
        self._start()

    def close(self) -> None:
        """End it."""
        self._close()

    def ask(self, request: dict[str, Any], *, longest: int | None = None) -> dict[str, Any]:
        """Its answer; `longest` for this one instead of that of the limits.

        Raises ModelError where it takes more than it may, and the child is ended.
        """
        answers: list[bytes] = []
        longest = self._limits.longest if longest is None else longest
        talker = threading.Thread(
            target=self._exchange, args=(request, longest, answers), daemon=True
        )
        talker.start()
        try:
            # Where a process cannot count its seconds, the clock does.
            talker.join(self._limits.seconds * (_WAIT if hasattr(signal, "setitimer") else 1))
        except BaseException:
            # Interrupted: an answer that comes later would be taken for that to another question.
            self.close()
            raise
        if talker.is_alive():
            self.close()
            talker.join()
            raise self._too_slow()
        if not (answers and answers[0].endswith(b"\n")):
            if answers and len(answers[0]) >= longest:
                self.close()
                raise ModelError(self._subject, "writes without end")
            raise self._ended()
        answer: dict[str, Any] = json.loads(answers[0])
        if answer.get("error") == "memory":
            raise self._too_large()
        return answer

    def _exchange(self, request: dict[str, Any], longest: int, answers: list[bytes]) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        # A process that was ended has closed pipes, which say so in these ways.
        with suppress(OSError, ValueError):
            assert stdin is not None and stdout is not None
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
            answers.append(stdout.readline(longest))

    def _ended(self) -> ModelError:
        """Why a child is gone that was not sent away."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        self.close()
        if code == -getattr(signal, "SIGPROF", 0):
            return self._too_slow()
        # What cannot allocate aborts, where it is not written in Python; the system kills.
        if code in (-signal.SIGABRT, -getattr(signal, "SIGKILL", 0)):
            return self._too_large()
        return ModelError(self._subject, f"ends the process that reads it ({code})")

    def _too_slow(self) -> ModelError:
        return ModelError(self._subject, f"takes more than {self._limits.seconds:g} s")

    def _too_large(self) -> ModelError:
        return ModelError(self._subject, f"takes more than {size(self._limits.memory)} of memory")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()
