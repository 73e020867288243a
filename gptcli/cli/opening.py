"""A group of options → an open backend, with progress on stderr while a model is fetched."""

from __future__ import annotations

from gptcli.backends import Backend, open_backend
from gptcli.errors import UsageError
from gptcli.types.compute import Compute
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch


def open_for(compute: Compute, messages: Messages, *, weights: bool = True) -> Backend:
    """The backend that was asked for. `weights`, and what it raises: see `open_backend`."""
    if compute.adapter_apart and not compute.adapter:
        raise UsageError("--adapter-apart", "needs --adapter")
    return watch(open_backend(compute, weights=weights), messages)
