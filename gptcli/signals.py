"""Signals that end a program: each becomes an exception, and the process ends by the signal itself.

An exception has temporary files removed, children ended and the terminal restored on its way out.
It must not come while a library is imported: it is swallowed there, or leaves half a library
behind, or aborts the process from C++. So imports of whatever is neither Python's own nor ours
hold signals back, without anybody asking for it.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any

#: Those that end a program; a system may lack some.
ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
#: What a shell adds to a signal's number for the exit code of what it ended.
BY_SIGNAL = 128
#: Seconds within which another signal is one and the same wish, and must not break what the first
#: one has under way: a window that closes sends two.
_ONE_WISH = 2.0
_OURS = {"gptcli"} | sys.stdlib_module_names


class EndedError(SystemExit):
    """A signal other than Ctrl-C, which is KeyboardInterrupt; `code` is the exit code."""


class _State:
    """What this process was told."""

    first: float | None = None
    answered = False
    holding = False
    left_by: int | None = None


def install() -> None:
    """From here on signals that end a program become exceptions, and imports hold them back.

    One that whoever started us has us ignore (nohup) stays ignored.
    """
    for number in ENDING:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, _end)
    sys.unraisablehook = _come_again
    sys.meta_path.insert(0, _Holding())
    # First of all, and so run last, after what libraries register when they are imported.
    atexit.register(_leave)


def uninstall() -> None:
    """From here on they end the process at once."""
    for number in ENDING:
        if signal.getsignal(number) is _end:
            signal.signal(number, signal.SIG_DFL)


def leave_by(code: int) -> None:
    """Where an exit code means a signal, have the process end by it when it exits.

    A shell's loop stops at that, not at the code. Nothing of Python is run after it.
    """
    number = code - BY_SIGNAL
    if number in (*ENDING, getattr(signal, "SIGPIPE", None)):
        _State.left_by = number


def _leave() -> None:
    if _State.left_by is not None:
        signal.signal(_State.left_by, signal.SIG_DFL)
        signal.raise_signal(_State.left_by)


def on_the_way_out(error: BaseException | None) -> int | None:
    """The exit code of the signal on whose way out an error happened, None where there is none."""
    while error is not None:
        if isinstance(error, EndedError):
            return int(str(error.code))
        if isinstance(error, KeyboardInterrupt):
            return BY_SIGNAL + signal.SIGINT
        error = error.__context__
    return None


@contextmanager
def answered() -> Iterator[None]:
    """Ctrl-C is somebody's to answer here, as often as it comes: it stops something, not all."""
    before, _State.answered = _State.answered, True
    try:
        yield
    finally:
        _State.answered = before


@contextmanager
def held(numbers: Sequence[int] = ENDING) -> Iterator[list[int]]:
    """Hold signals back until the block is over; the first that came then takes effect.

    Gives the list of those that came, which may be cleared. Blocking them would not do: another
    thread may take them, and Python still runs the handler in this one.
    """
    came: list[int] = []
    if _State.holding or threading.current_thread() is not threading.main_thread():
        yield came
        return

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    ours = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, note) for number in ours}
    _State.holding = True
    try:
        yield came
    finally:
        _State.holding = False
        for number, handler in before.items():
            # None: a handler that was not set from Python, and cannot be from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for first in came[:1]:
            signal.raise_signal(first)


def _end(number: int, _frame: FrameType | None) -> None:
    now = time.monotonic()
    if _State.first is not None and now - _State.first < _ONE_WISH:
        return
    if number == signal.SIGINT and _State.answered:
        raise KeyboardInterrupt
    _State.first = now
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise EndedError(BY_SIGNAL + number)


def _come_again(unraisable: Any) -> None:
    """An exception within a destructor is lost: where it was a signal's, the signal comes again."""
    code = on_the_way_out(unraisable.exc_value)
    if code is None:
        sys.__unraisablehook__(unraisable)
        return
    _State.first = None
    threading.Timer(0.01, os.kill, (os.getpid(), code - BY_SIGNAL)).start()


class _Holding:
    """Finds what the others find, and has it hold signals back while it is run."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See importlib.abc.MetaPathFinder; None for what is Python's own, or ours."""
        if _State.holding or name.partition(".")[0] in _OURS:
            return None
        others = (each for each in sys.meta_path if each is not self)
        found = (each.find_spec(name, path, target) for each in others)
        spec = next((each for each in found if each is not None), None)
        loader = spec.loader if spec is not None else None
        if loader is not None and not isinstance(loader, type):
            with suppress(AttributeError):
                loader.__dict__["exec_module"] = _holding(loader.exec_module)
        return spec


def _holding(run: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
    def run_held(module: ModuleType) -> None:
        with held():
            run(module)

    return run_held
