"""A group of options → an open backend, with progress on stderr while a model is fetched."""

from __future__ import annotations

from collections.abc import Collection

from gptcli.backends import Backend, open_backend, settled
from gptcli.cli.flags.batch import Batch
from gptcli.errors import UsageError
from gptcli.types.compute import QUANTISED, Compute
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch


def open_for(
    compute: Compute, messages: Messages, *, weights: bool = True, dtypes: Collection[str] = ()
) -> Backend:
    """The backend that was asked for. `weights`, and what it raises: see `open_backend`.

    dtypes: others that it will be asked to run in.
    """
    _check(compute, dtypes)
    return watch(open_backend(settled(compute), weights=weights), messages)


def open_many(compute: Compute, batch: Batch, messages: Messages) -> Backend:
    """A backend for many rows: that which `open_for` opens, or many on a cluster."""
    if batch.ray is None:
        return open_for(compute, messages)
    from gptcli.backends.cluster.driver import RayBackend

    _check(compute)
    return RayBackend(settled(compute), batch.ray, batch.workers)


def _check(compute: Compute, dtypes: Collection[str] = ()) -> None:
    """Raise UsageError for options that do not go together."""
    if compute.calibration is not None and not {compute.dtype, *dtypes} & {*QUANTISED}:
        raise UsageError("--calibration", "needs --dtype int4 or int8, which round")
    if compute.adapter_apart and not compute.adapter:
        raise UsageError("--adapter-apart", "needs --adapter")
