"""Places to run: `local`, the engine of this machine, `served`, that of a server of ours that runs
already, and `echo`, a fake for tests of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from gptcli.backends.base import Backend
from gptcli.types.compute import Compute
from gptcli.types.events import Notice, Progress

if TYPE_CHECKING:
    from gptcli.backends.served.backend import ServedBackend

__all__ = ["ECHO", "Backend", "cpu", "find_server", "free_memory", "open_backend"]

#: The model name that stands for the echo backend.
ECHO = "echo"


def open_backend(
    compute: Compute, *, weights: bool = True
) -> Generator[Progress | Notice, None, Backend]:
    """The backend for a model, fetched first where it is not here yet.

    Yields the progress of that, and what to tell of the model; returns the backend. Without
    `weights` these are read when a question needs them. Raises the errors of
    `gptcli.models.obtain` and of the engine.
    """
    if compute.model == ECHO:
        from gptcli.backends.echo import EchoBackend

        return EchoBackend()
    from gptcli import models

    model = yield from models.obtain(compute.model, free_memory)
    from gptcli.backends.local import LocalBackend
    from gptcli.backends.local.open_model import OpenModel

    opened = OpenModel(model, compute, weights=weights)
    yield from opened.tokenizer.notices
    if weights:
        yield from (*opened.described.notices, *opened.runner.notices)
    return LocalBackend(opened)


def find_server(compute: Compute, elsewhere: Callable[[], Backend]) -> ServedBackend | None:
    """The server of ours that runs for this model and these settings, None where there is none.

    elsewhere: opens what answers in its place, where it cannot, or is gone.
    """
    from gptcli.backends import served

    return served.find(compute, elsewhere)


def free_memory() -> int | None:
    """Bytes of main memory that can still be taken, None where that is not known."""
    from gptcli.backends.local.memory import available_bytes

    return available_bytes("cpu")


def cpu(features: str = "auto") -> str:
    """What a CPU computes with, in a line: the kernels and how many threads, or why torch.

    features: one of compute.CPU_FEATURES. Raises UsageError where they are not there.
    """
    from gptcli.engine.cpu.binding.library import (
        KernelsUnavailableError,
        default_threads,
        open_library,
    )

    try:
        library = open_library(features)
    except KernelsUnavailableError as error:
        return f"CPU: torch, since there are no kernels: {error}"
    return f"CPU: kernels for {library.instructions}, {default_threads()} threads"
