"""Places to run: `local`, the engine of this machine, and `echo`, a fake for tests of the rest."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from gptcli.backends.base import Backend
from gptcli.types.events import Notice, Progress
from gptcli.types.models import AdapterRef

__all__ = ["ECHO", "Backend", "cpu", "open_backend"]

#: The model name that stands for the echo backend.
ECHO = "echo"


def open_backend(
    name: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    threads: int | None = None,
    exact_activations: bool = False,
    cpu_features: str = "auto",
    limit: int | None = None,
    adapters: Sequence[AdapterRef] = (),
    apart: bool = False,
    weights: bool = True,
) -> Generator[Progress | Notice, None, Backend]:
    """The backend for a model's name, fetched first where it is not here yet.

    Yields the progress of that, and what to tell of the model; returns the backend. `limit` caps
    the context, in tokens; `threads`, exact_activations and cpu_features are those of a CPU, the
    last one of config.CPU_FEATURES; adapters are added to the weights, or with `apart` kept beside
    them; without `weights` these are read when a question needs them. Raises the errors of
    `gptcli.models.obtain` and of the engine.
    """
    if name == ECHO:
        from gptcli.backends.echo import EchoBackend

        return EchoBackend()
    from gptcli import models

    model = yield from models.obtain(name)
    from gptcli.backends.local import LocalBackend
    from gptcli.backends.local.open_model import OpenModel

    opened = OpenModel(
        model,
        device=device,
        dtype=dtype,
        threads=threads,
        exact_activations=exact_activations,
        cpu_features=cpu_features,
        limit=limit,
        adapters=adapters,
        apart=apart,
        weights=weights,
    )
    if opened.tokenizer.notice is not None:
        yield opened.tokenizer.notice
    return LocalBackend(opened)


def cpu(features: str = "auto") -> str:
    """What a CPU computes with, in a line: the kernels and how many threads, or why torch.

    features: one of config.CPU_FEATURES. Raises UsageError where they are not there.
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
