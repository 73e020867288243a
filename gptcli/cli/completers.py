"""What the shell offers for an option. Nothing here loads a model, or torch."""

from __future__ import annotations


def complete_model(incomplete: str) -> list[str]:
    """Names of models that begin with what was typed."""
    from gptcli import models

    return [name for name in models.known_names() if name.startswith(incomplete)]
