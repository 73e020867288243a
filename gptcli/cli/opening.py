"""A group of options → an open backend, with progress on stderr while a model is fetched."""

from __future__ import annotations

import time
from collections.abc import Collection

from gptcli.backends import Backend, find_server, open_backend, settled
from gptcli.cli.flags.batch import Batch
from gptcli.cli.guard import opening
from gptcli.errors import UsageError
from gptcli.tasks import seen
from gptcli.types.compute import QUANTISED, Compute
from gptcli.types.events import Progress
from gptcli.types.prompt_cache import PromptCache
from gptcli.types.token import Source
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch


def open_for(
    compute: Compute,
    messages: Messages,
    *,
    weights: bool = True,
    dtypes: Collection[str] = (),
    prompts: PromptCache | None = None,
) -> Backend:
    """The backend that was asked for: a server's that runs, else one of this process.

    `weights`, `prompts`, and what it raises: see `open_backend`. dtypes: others that it will be
    asked to run in. A server has prompts in its memory; a file of
    them, and a model that drafts, are for this process alone.
    """
    check(compute, dtypes)
    here = compute.no_server or (prompts is not None and prompts.in_a_file)
    here = here or compute.draft is not None
    with opening():
        found = None if here else _served(compute, messages, weights=weights, prompts=prompts)
        if found is not None:
            return found
        return watch(open_backend(settled(compute), weights=weights, prompts=prompts), messages)


def open_many(compute: Compute, batch: Batch, messages: Messages) -> Backend:
    """A backend for many rows: that which `open_for` opens, or many on a cluster."""
    if compute.draft is not None:
        raise UsageError("--draft", "is for one text at a time: a batch leaves nothing to gain")
    if batch.ray is None:
        return open_for(compute, messages)
    from gptcli.backends.cluster.driver import RayBackend

    check(compute)
    cluster = RayBackend(settled(compute), batch.ray, batch.workers)
    messages.notices(cluster.notices)
    return cluster


def check(compute: Compute, dtypes: Collection[str] = ()) -> None:
    """Raise UsageError for options that do not go together; dtypes: see `open_for`."""
    if compute.calibration is not None and not {compute.dtype, *dtypes} & {*QUANTISED}:
        raise UsageError("--calibration", "needs --dtype int4 or int8, which round")
    if compute.draft is not None and compute.speculate == "off":
        raise UsageError("--draft", "drafts nothing beside --speculate off")
    if compute.draft is None and compute.draft_dtype != "auto":
        raise UsageError("--draft-dtype", "needs --draft")
    if compute.adapter_apart and not compute.adapter:
        raise UsageError("--adapter-apart", "needs --adapter")


def _served(
    compute: Compute, messages: Messages, *, weights: bool, prompts: PromptCache | None
) -> Backend | None:
    """The server's, with what opening the model here would have told; None where there is none."""

    def elsewhere() -> Backend:
        # What it tells was told.
        opening = open_backend(compute, weights=weights, prompts=prompts)
        untold = seen(opening, lambda step: step if isinstance(step, Progress) else None)
        return watch(untold, messages)

    found = find_server(compute, elsewhere)
    if found is not None:
        messages.notices(found.greeting.notices)
        if weights:
            messages.notices(found.greeting.of_weights)
    return found


class Clock:
    """How long it takes until a model is there, and until it has read what it was given."""

    def __init__(self) -> None:
        self._begun = self._ready = time.perf_counter()

    def opened(self, backend: Backend) -> Backend:
        """The backend, which is there now."""
        self._ready = time.perf_counter()
        return backend

    def stats(self, source: Source, tokens: int | None) -> list[str]:
        """What it took to read so many tokens until now, for `--stats`."""
        from gptcli.ui.views import stats

        taken = time.perf_counter() - self._ready
        return stats.of_reading(source, tokens, taken, self._ready - self._begun)
