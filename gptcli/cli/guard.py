"""What stands around every command's function, so that Typer sees no OSError of its own kind."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable
from typing import Any

from gptcli.errors import ResourceError
from gptcli.ui.terminal.stream import PipeClosedError


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


def told_apart(error: OSError) -> Exception:
    """What an OSError means to the boundary."""
    if isinstance(error, BrokenPipeError) and error.filename is None:
        # Typer itself writes what it hands to the shell.
        return PipeClosedError()
    subject = str(error.filename or "output")
    return ResourceError(subject, error.strerror or str(error))
