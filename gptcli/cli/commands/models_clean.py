"""`gptcli models clean`: what no model needs any more, or nobody ran for long, goes."""

from __future__ import annotations

from typing import Annotated

from gptcli import models
from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.output import Output
from gptcli.config import MOST, Limit, option
from gptcli.plain import dataclass
from gptcli.ui.views.printing import table
from gptcli.units import counted, size


@dataclass(frozen=True)
class Cleaning:
    """What goes."""

    older_than: int | None = option(
        None,
        "Also remove packed weights that were not used for so many days, of your own directories"
        " too, and kept prompts: they are made again when they are needed.",
        metavar="DAYS",
        limit=Limit(0, MOST),
        brief="Also packed weights not used for so long.",
    )
    prompts: bool = option(
        False,
        "Also remove all that --prompt-cache auto has kept of prompts.",
        brief="Also all prompts that were kept.",
    )
    dry_run: bool = option(False, "Remove nothing: say what would go.", brief="Only say it.")


def clean(
    environment: Environment, cleaning: Cleaning, output: Annotated[Output, but(json=None)]
) -> None:
    """Remove what is left over of models that are gone.

    That is packed weights and kept prompts whose model is gone, what was made of .gguf files that
    are gone or have changed, and what other versions of gptcli made. Models and files of your own
    stay. In a pipe: bytes, path, reason; tab-separated.
    """
    found = models.clean(
        older_than=cleaning.older_than, every_prompt=cleaning.prompts, dry=cleaning.dry_run
    )
    if environment.on_terminal:
        shown = [(size(each.freed), str(each.path), each.reason) for each in found]
        if shown:
            table(environment.stdout, ("Size", "Path", "Why"), shown)
    else:
        exact = [(str(each.freed), str(each.path), each.reason) for each in found]
        table(environment.stdout, (), exact)
    freed = f"{size(sum(each.freed for each in found))} in {counted(len(found), 'place')}"
    what = "would remove" if cleaning.dry_run else "removed"
    output.messages(environment).info(f"{what} {freed}")
