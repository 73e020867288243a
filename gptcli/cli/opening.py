"""A group of options → an open backend, with progress on stderr while a model is fetched."""

from __future__ import annotations

from collections.abc import Collection

from gptcli.backends import Backend, open_backend, settled
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
    if compute.calibration is not None and not {compute.dtype, *dtypes} & {*QUANTISED}:
        raise UsageError("--calibration", "needs --dtype int4 or int8, which round")
    if compute.adapter_apart and not compute.adapter:
        raise UsageError("--adapter-apart", "needs --adapter")
    return watch(open_backend(settled(compute), weights=weights), messages)
