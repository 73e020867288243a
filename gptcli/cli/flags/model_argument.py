"""The model that a subcommand of `gptcli models` is about."""

from __future__ import annotations

from gptcli.config import option
from gptcli.plain import dataclass


@dataclass(frozen=True)
class ModelArgument:
    """A model by its name, on this disk or to be fetched."""

    name: str = option(
        ...,
        "A name, a directory, a .gguf file, or a Hugging Face org/name or org/name:Q4_K_M.",
        metavar="MODEL",
        argument=True,
        completer="model",
    )
