"""A group of options → an open backend, with progress on stderr while a model is fetched."""

from __future__ import annotations

from collections.abc import Collection

from gptcli.backends import Backend, find_server, open_backend, settled
from gptcli.cli.flags.batch import Batch
from gptcli.errors import UsageError
from gptcli.tasks import seen
from gptcli.types.compute import QUANTISED, Compute
from gptcli.types.events import Progress
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch


def open_for(
    compute: Compute, messages: Messages, *, weights: bool = True, dtypes: Collection[str] = ()
) -> Backend:
    """The backend that was asked for: a server's that runs, else one of this process.

    `weights`, and what it raises: see `open_backend`. dtypes: others that it will be asked to run
    in.
    """
    check(compute, dtypes)
    found = None if compute.no_server else _served(compute, messages, weights=weights)
    return found or watch(open_backend(settled(compute), weights=weights), messages)


def open_many(compute: Compute, batch: Batch, messages: Messages) -> Backend:
    """A backend for many rows: that which `open_for` opens, or many on a cluster."""
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
    if compute.adapter_apart and not compute.adapter:
        raise UsageError("--adapter-apart", "needs --adapter")


def _served(compute: Compute, messages: Messages, *, weights: bool) -> Backend | None:
    """The server's, with what opening the model here would have told; None where there is none."""

    def elsewhere() -> Backend:
        # What it tells was told.
        opening = open_backend(compute, weights=weights)
        untold = seen(opening, lambda step: step if isinstance(step, Progress) else None)
        return watch(untold, messages)

    found = find_server(compute, elsewhere)
    if found is not None:
        messages.notices(found.greeting.notices)
        if weights:
            messages.notices(found.greeting.of_weights)
    return found
