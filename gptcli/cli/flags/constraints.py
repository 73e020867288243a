"""What a text has to be."""

from __future__ import annotations

from pathlib import Path

from gptcli.config import option
from gptcli.plain import dataclass

_PANEL = "Constraints"


@dataclass(frozen=True)
class Constraints:
    """One form that the text has to have, and what becomes of a text that a limit cuts off."""

    json_schema: str | None = option(
        None,
        "The text is JSON that this schema allows; given as a file, or as the schema itself. All of"
        " these need the extra gptcli[constraints].",
        metavar="FILE|TEXT",
        panel=_PANEL,
        brief="The text is JSON of this schema; also --regex, ….",
    )
    json_object: bool = option(False, "The text is a JSON object.", panel=_PANEL)
    regex: str | None = option(
        None,
        "The text is one that this regular expression matches from its begin to its end. What looks"
        " around and refers back is not there.",
        metavar="RE",
        panel=_PANEL,
    )
    grammar: Path | None = option(
        None,
        "The text is one of this grammar: GBNF as llama.cpp has it, or Lark as llguidance has it;"
        " - is stdin.",
        metavar="FILE",
        panel=_PANEL,
        stdin=True,
    )
    one_of: tuple[str, ...] = option(
        (),
        "The text is this one, or another that is given so. Repeatable.",
        metavar="TEXT",
        panel=_PANEL,
    )
    repair: bool = option(
        False,
        "Where -n or a stop string ends the text before it is whole, put the least behind it that"
        " makes it so, and say what. Else that is an error, exit code 4.",
        panel=_PANEL,
    )
