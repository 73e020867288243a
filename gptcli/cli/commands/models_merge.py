"""`gptcli models merge`: adapters become part of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from gptcli import models
from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but, only
from gptcli.cli.flags.model_argument import ModelArgument
from gptcli.cli.flags.output import Output
from gptcli.config import option
from gptcli.plain import dataclass
from gptcli.types.compute import Compute
from gptcli.ui.terminal.progress import watch


@dataclass(frozen=True)
class Merging:
    """Where the new model goes."""

    output: Path = option(
        ...,
        "The new model's directory.",
        *("-o", "--output"),
        metavar="DIR",
        brief="The new model's directory.",
    )


def merge(
    environment: Environment,
    model: ModelArgument,
    merging: Merging,
    # A setting of the user's file is about computing, not about what is written.
    compute: Annotated[
        Compute, only("adapter", adapter={"brief": "Add this adapter."}, dtype={"setting": False})
    ],
    output: Annotated[Output, but(json=None)],
) -> None:
    """Write a model with LoRA adapters added to its weights.

    The new directory is a model like any other: plain safetensors in the dtype of the model's own
    weights (--dtype takes another), with its tokenizer. Quantised weights are dequantised, which
    is all that is done to a model that has some where no adapter is given.
    """
    from gptcli.backends.local.merging import merge as merged

    messages = output.messages(environment)
    found = watch(models.obtain(model.name), messages)
    watch(merged(found, compute.adapter, merging.output, dtype=compute.dtype), messages)
    what = "with what was added" if compute.adapter else "in plain weights"
    messages.info(f"{found.name} {what} is at {merging.output}")
