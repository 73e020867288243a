"""Settings → an open backend, with progress on stderr while a model is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from gptcli import config
from gptcli.backends import Backend, open_backend
from gptcli.config import Settings
from gptcli.errors import UsageError
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch


def settings_of(flags: Mapping[str, object]) -> Settings:
    """The user's settings, with those flags over them that are settings and were given.

    `flags` are the arguments of a command's function, by name: its `locals()`, taken first.
    """
    names = {field.name for field in fields(Settings)}
    return config.load().over(**{name: v for name, v in flags.items() if name in names})


def open_for(settings: Settings, messages: Messages, *, weights: bool = True) -> Backend:
    """The backend that the settings name. `weights`, and what it raises: see `open_backend`."""
    if settings.adapter_apart and not settings.adapter:
        raise UsageError("--adapter-apart", "needs --adapter")
    return watch(
        open_backend(
            settings.model,
            device=settings.device,
            dtype=settings.dtype,
            threads=settings.threads,
            exact_activations=settings.exact_activations,
            cpu_features=settings.cpu_features,
            limit=settings.ctx_size,
            adapters=settings.adapter,
            apart=settings.adapter_apart,
            weights=weights,
        ),
        messages,
    )
