"""Files of texts, a row each: how they are read."""

from __future__ import annotations

from typing import Annotated

from gptcli.cli.flags.answers import KINDS
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.source import Special
from gptcli.config import option
from gptcli.plain import dataclass


@dataclass(frozen=True)
class Texts(Special):
    """What the rows of such files are, and whether control tokens in them are."""

    texts_format: str | None = option(
        None,
        f"What files of texts hold, whatever their names say: {', '.join(KINDS)}.",
        metavar="KIND",
        choices=KINDS,
    )
    field: str | None = option(
        None,
        "Under which name rows that are no lines have the text. Default: prompt, else text.",
        metavar="NAME",
    )


#: As commands have it.
TextFiles = Annotated[
    Texts,
    but(special="Read control tokens such as <|im_end|> in the texts as tokens, not as text."),
]
