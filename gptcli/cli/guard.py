"""What stands around every command's function, so that Typer sees no OSError of its own kind."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gptcli.errors import ResourceError
from gptcli.ui.terminal.stream import PipeClosedError

#: So many objects more than are gone, and what cannot be reached is looked for.
_SELDOM = 50_000


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """The command with its OSErrors told apart: Typer would swallow some of them."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        if not gc.isenabled():
            # `__main__` had it wait: what is there by now is there to stay.
            gc.freeze()
            gc.enable()
        try:
            command(*args, **kwargs)
        except OSError as error:
            raise told_apart(error) from error

    return wrapper


@contextmanager
def opening() -> Iterator[None]:
    """What a model's opening makes and imports mostly stays: what does not is looked for seldom."""
    before = gc.get_threshold()
    gc.set_threshold(_SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def told_apart(error: OSError) -> Exception:
    """What an OSError means to the boundary."""
    if isinstance(error, BrokenPipeError) and error.filename is None:
        # Typer itself writes what it hands to the shell.
        return PipeClosedError()
    subject = str(error.filename or "output")
    return ResourceError(subject, error.strerror or str(error))
