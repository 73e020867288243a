"""What the shell offers for an option. Nothing here loads a model, or torch."""

from __future__ import annotations

from gptcli import config


def complete_model(incomplete: str) -> list[str]:
    """Names of models that begin with what was typed."""
    from gptcli import models

    return [name for name in models.known_names() if name.startswith(incomplete)]


def complete_device(incomplete: str) -> list[str]:
    """Devices."""
    return [name for name in config.DEVICES if name.startswith(incomplete)]


def complete_dtype(incomplete: str) -> list[str]:
    """Dtypes, by their long names."""
    return [name for name in config.DTYPES if name.startswith(incomplete)]


def complete_session(incomplete: str) -> list[str]:
    """Names of kept conversations that begin with what was typed."""
    from gptcli import sessions

    return [name for name in sessions.names() if name.startswith(incomplete)]
