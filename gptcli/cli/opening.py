"""Settings → an open backend, with progress on stderr while a model is fetched."""

from __future__ import annotations

from gptcli.backends import Backend, open_backend
from gptcli.config import Settings
from gptcli.ui.messages import Messages
from gptcli.ui.progress import watch


def open_for(settings: Settings, messages: Messages) -> Backend:
    """The backend that the settings name. Raises the errors of `open_backend`."""
    return watch(
        open_backend(
            settings.model,
            device=settings.device,
            dtype=settings.dtype,
            threads=settings.threads,
            limit=settings.ctx_size,
        ),
        messages,
    )
