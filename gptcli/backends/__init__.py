"""Places to run: `local`, the engine of this machine, `served`, that of a server of ours that runs
already, `remote`, servers that speak OpenAI's language, and `echo`, a fake for tests of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from gptcli.backends.base import Backend
from gptcli.backends.place import place_of, unencrypted
from gptcli.errors import NetworkError, UsageError
from gptcli.types.compute import Compute
from gptcli.types.events import Notice, Progress
from gptcli.types.models import Offered
from gptcli.types.prompt_cache import PromptCache

if TYPE_CHECKING:
    from gptcli.backends.served.backend import ServedBackend

__all__ = [
    "ECHO",
    "Backend",
    "cpu",
    "find_server",
    "free_memory",
    "is_elsewhere",
    "offered",
    "open_backend",
    "settled",
]

#: The model name that stands for the echo backend.
ECHO = "echo"


def open_backend(
    compute: Compute, *, weights: bool = True, prompts: PromptCache | None = None
) -> Generator[Progress | Notice, None, Backend]:
    """The backend for a model, fetched first where it is not here yet.

    Yields the progress of that, and what to tell of the model; returns the backend. Without
    `weights` these are read when a question needs them. prompts: which of them to keep on the disk.
    Raises the errors of `gptcli.models.obtain` and of the engine.
    """
    if compute.model == ECHO and compute.base_url is None:
        _refuse(prompts, "echo computes nothing")
        if compute.draft is not None:
            raise UsageError("--draft", "echo computes nothing")
        if "kv_dtype" in compute.by_hand:
            raise UsageError("--kv-dtype", "echo computes nothing")
        if compute.steer:
            raise UsageError("--steer", "echo computes nothing")
        from gptcli.backends.echo import EchoBackend

        return EchoBackend()
    place = place_of(compute)
    if place is not None:
        _refuse(prompts, f"is about this machine, and {place.url} is to answer")
        from gptcli.backends.remote import RemoteBackend

        yield from unencrypted(place)
        return RemoteBackend(place)
    from gptcli import models

    model = yield from models.obtain(compute.model, free_memory)
    from gptcli.backends.local import LocalBackend
    from gptcli.backends.local.open_model import OpenModel

    draft = compute.drafting
    drafts = None
    if draft is not None:
        found = yield from models.obtain(draft.model, free_memory)
        drafts = OpenModel(found, draft, weights=False)
    opened = OpenModel(model, compute, weights=weights, prompts=prompts, draft=drafts)
    yield from opened.tokenizer.notices
    if weights:
        yield from (*opened.described.notices, *opened.runner.notices)
    return LocalBackend(opened)


def _refuse(prompts: PromptCache | None, reason: str) -> None:
    """Raise UsageError where the command line asks for what a place does not do."""
    if prompts is not None and prompts.asked:
        raise UsageError("--prompt-cache", reason)


def settled(compute: Compute) -> Compute:
    """With the model that answers, where the command line names a server alone.

    That is the one of its endpoint's table, else the only one that it lists. Raises UsageError
    where there is none such, and NetworkError.
    """
    if compute.base_url is None or "model" in compute.by_hand:
        return compute
    place = place_of(compute, named=False)
    assert place is not None
    model = place.model
    if not model:
        from gptcli.backends.remote import offered
        from gptcli.backends.remote.failures import said

        listed = [each.name for each in offered(place)]
        if len(listed) != 1:
            if not listed:
                reason = "lists no models, as a server that speaks OpenAI's language does"
                raise NetworkError(place.url, reason, "a base URL mostly ends in /v1; -m names one")
            shown = said(", ".join(listed[:8]), place) + (" …" if len(listed) > 8 else "")
            raise UsageError("--model", f"is needed: which one of {place.url}?", f"it has: {shown}")
        (model,) = listed
    return replace(compute, model=model, by_hand=compute.by_hand | {"model"})


def is_elsewhere(compute: Compute) -> bool:
    """Whether a server is to answer."""
    return place_of(compute, named=False) is not None


def offered(compute: Compute) -> tuple[Offered, ...]:
    """The models that a server lists. Raises UsageError where none is named, and NetworkError."""
    place = place_of(compute, named=False)
    if place is None:
        raise UsageError("--base-url", "names no server")
    from gptcli.backends.remote import offered as listed

    return listed(place)


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
