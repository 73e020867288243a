"""The model that a subcommand of `gptcli models` is about."""

from __future__ import annotations

from typing import Annotated

import typer

from gptcli import models
from gptcli.cli.flags.completers import complete_model
from gptcli.errors import ModelError
from gptcli.types.models import ModelDir

Name = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        autocompletion=complete_model,
        help="A name, a directory, a .gguf file, or a Hugging Face org/name.",
    ),
]


def here(name: str) -> ModelDir:
    """A model of this disk. Raises ModelError where it would have to be fetched."""
    found = models.find(name)
    if found is None:
        raise ModelError(name, "is not on this disk", f"gptcli models pull {name} fetches it")
    return found
