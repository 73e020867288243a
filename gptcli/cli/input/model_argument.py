"""The model that a subcommand of `gptcli models` is about."""

from __future__ import annotations

from gptcli import models
from gptcli.errors import ModelError
from gptcli.types.models import ModelDir


def here(name: str) -> ModelDir:
    """A model of this disk. Raises ModelError where it would have to be fetched."""
    found = models.find(name)
    if found is None:
        raise ModelError(name, "is not on this disk", f"gptcli models pull {name} fetches it")
    return found
