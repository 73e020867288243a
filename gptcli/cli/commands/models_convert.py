"""`gptcli models convert`: a GGUF file as safetensors."""

from __future__ import annotations

from typing import Annotated

from gptcli import models
from gptcli.cli.commands.models_merge import Merging
from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.model_argument import ModelArgument
from gptcli.cli.flags.output import Output
from gptcli.ui.terminal.progress import watch


def convert(
    environment: Environment,
    model: ModelArgument,
    writing: Merging,
    output: Annotated[Output, but(json=None)],
) -> None:
    """Write a .gguf file as a directory of safetensors, for other programs.

    gptcli itself runs the file where it is. What is quantised becomes bfloat16, but for experts in
    MXFP4, which stay in it; other numbers keep their dtype.
    """
    messages = output.messages(environment)
    found = watch(models.obtain(model.name), messages)
    watch(models.convert(found, writing.output), messages)
    messages.info(f"{found.name} in safetensors is at {writing.output}")
