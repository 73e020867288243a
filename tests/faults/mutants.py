"""Mutants are tried in a child that may crash, hang or eat memory without taking the test along.

A child tries one seed after another and tells the outcome of each; where it dies or is silent for
too long, the seed that it was at is guilty, and another child goes on after it.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from gptcli.errors import GptcliError

#: What a broken file may end in: it was fine after all, or broken, or bad input, or too long.
ALLOWED = frozenset({0, 3, 4, 5})
SECONDS = 2.0
MEMORY = 1 << 30


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant: an exit code, or -1 and why it is none."""

    seed: int
    code: int
    said: str
    seconds: float

    def fine(self, seconds: float = SECONDS) -> bool:
        """One of the codes, one line, no hang."""
        return self.code in ALLOWED and "\n" not in self.said.strip() and self.seconds < seconds


def outcomes(attempt: Callable[[int], None], seeds: Iterable[int]) -> list[Outcome]:
    """Try each seed: `attempt` makes the mutant and opens it, and fails as the tool does.

    Each has SECONDS of computing and MEMORY bytes beyond what the process has at its beginning.
    """
    left = list(seeds)
    found: list[Outcome] = []
    context = multiprocessing.get_context("fork")
    while left:
        ours, theirs = context.Pipe()
        child = context.Process(target=_try_all, args=(attempt, left, theirs))
        child.start()
        theirs.close()
        done = _listen(ours, left, found)
        if not done:
            child.kill()
        child.join()
        if not done:
            reason = f"hangs, or ended the process ({child.exitcode})"
            found.append(Outcome(left.pop(0), -1, reason, SECONDS))
    return found


def guilty(found: Iterable[Outcome], seconds: float = SECONDS) -> list[Outcome]:
    """Those that ended as nothing may; seconds: of computing, that each has."""
    return [each for each in found if not each.fine(seconds)]


def _listen(ours: Connection, left: list[int], found: list[Outcome]) -> bool:
    """Takes outcomes until all seeds are done, or one is silent for too long, or the child ends."""
    while left:
        # A busy machine may stop a process for a while; the child itself counts the seconds.
        if not ours.poll(SECONDS * 10):
            return False
        try:
            found.append(ours.recv())
        except EOFError:
            return False
        left.pop(0)
    return True


def _try_all(attempt: Callable[[int], None], seeds: list[int], theirs: Connection) -> None:
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    for seed in seeds:
        theirs.send(_one(attempt, seed))
    theirs.close()
    os._exit(0)


def _one(attempt: Callable[[int], None], seed: int) -> Outcome:
    out, err = io.StringIO(), io.StringIO()
    begun = time.process_time()
    code, said = 0, ""
    with warnings.catch_warnings(), redirect_stderr(err), redirect_stdout(out):
        warnings.simplefilter("always")
        try:
            attempt(seed)
        except GptcliError as error:
            code, said = error.exit_code, str(error)
        except BaseException as error:  # a panic of Rust is no Exception
            code = -1
            said = "".join(traceback.format_exception(error))
    written = err.getvalue()
    sys.stderr.flush()
    return Outcome(seed, code, said + written, time.process_time() - begun)
