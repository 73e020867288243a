"""`gptcli models search`: the hub's models that run here."""

from __future__ import annotations

from typing import Annotated

from gptcli import models
from gptcli.backends import free_memory
from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.output import Output
from gptcli.config import Limit, option
from gptcli.plain import dataclass
from gptcli.ui.terminal.progress import watch
from gptcli.ui.views import offers as view


@dataclass(frozen=True)
class Searching:
    """What is looked for."""

    words: tuple[str, ...] = option(
        ..., "What the name of a model has in it, in any order.", metavar="WORDS", argument=True
    )
    limit: int = option(
        10,
        "Models to show at most.",
        metavar="N",
        brief="Models to show at most.",
        limit=Limit(1, 100),
    )


def search(
    environment: Environment,
    searching: Searching,
    output: Annotated[
        Output, but(json="Print a JSON array: each model with its variants, and which of them fit.")
    ],
) -> None:
    """Find models of the Hugging Face hub that run here.

    The most downloaded first: of the families that gptcli runs, in safetensors or GGUF, with the
    variant that is meant where none is named, its size and whether it fits into main memory now.
    What it needs is its weights and 268 MB; the KV cache of a long context comes on top. In a
    pipe: tab-separated with heads, sizes, needs and counts exact, variants with commas between.
    """
    from gptcli.backends.local import families

    messages = output.messages(environment)
    words = " ".join(searching.words)
    found, looked_at = watch(models.search(words, families.names(), searching.limit), messages)
    room = free_memory()
    if output.json:
        environment.data().json([view.as_json(each, room) for each in found])
    elif found or not environment.on_terminal:
        view.show_found(found, room, environment.stdout)
    if not found:
        what = f"none of the {looked_at} first runs here" if looked_at else "the hub has none"
        messages.hint(f"{words}: {what}")
