"""`gptcli models merge`: adapters become part of a model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gptcli import models
from gptcli.cli.flags import adapter as adapter_options
from gptcli.cli.flags import common as options
from gptcli.cli.input.model_argument import Name
from gptcli.cli.opening import settings_of
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch


def merge(
    name: Name,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="DIR", show_default=False, help="The new model's directory."
        ),
    ],
    adapter: adapter_options.Adapter = None,
    dtype: options.Dtype = None,
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Write a model with LoRA adapters added to its weights.

    The new directory is a model like any other: plain safetensors in the dtype of the model's own
    weights (--dtype takes another), with its tokenizer. Quantised weights are dequantised, which
    is all that is done to a model that has some where no adapter is given.
    """
    settings = settings_of({"adapter": adapter, "dtype": dtype})
    from gptcli.backends.local.merging import merge as merged

    messages = Messages(sys.stderr, quiet=quiet)
    model = watch(models.obtain(name), messages)
    # A setting of the user's file is about computing, not about what is written.
    kind = "auto" if dtype is None else settings.dtype
    watch(merged(model, settings.adapter, output, dtype=kind), messages)
    what = "with what was added" if settings.adapter else "in plain weights"
    messages.info(f"{model.name} {what} is at {output}")
