"""`gptcli steer`: control vectors, made and looked at."""

from __future__ import annotations

import typer

from gptcli.cli.commands.steer_make import make
from gptcli.cli.commands.steer_show import show
from gptcli.cli.help.screens import explain_group

EXAMPLES = (
    (
        "What makes texts happy, of texts that are and texts that are not.",
        "gptcli steer make --plus happy.txt --minus sad.txt -o joy.gguf",
    ),
    (
        "What pairs of lines have in common, as llama.cpp's cvector-generator has it.",
        "gptcli steer make --method pca --position all --plus happy.txt --minus sad.txt"
        " -o joy.gguf",
    ),
    ("What each layer's direction says.", "gptcli steer show joy.gguf"),
    ("How long they are, for a program.", "gptcli steer show --json joy.gguf | jq .directions"),
)


def group(context: typer.Context) -> None:
    """Make control vectors, and look at them.

    A control vector has a direction for each layer, which is added to the stream behind it. Files
    are those of llama.cpp (GGUF), which takes ours, as --control-vector, and makes some itself.
    """
    explain_group(context)


SUBCOMMANDS = {"make": make, "show": show}
