"""What `gptcli ask` wants to know."""

from __future__ import annotations

from gptcli.config import Limit, option
from gptcli.plain import dataclass
from gptcli.types.ask import ValueType

_CHOICE = "choice:"
#: How many texts may be compared.
_MOST = 1000


def _type(text: str) -> ValueType:
    match text:
        case "bool" | "int" | "float" | "date":
            return ValueType(text)
    if not text.startswith(_CHOICE):
        raise ValueError(f"must be bool, int, float, date or choice:A,B,…, not {text!r:.80}")
    choices = tuple(each.strip() for each in text.removeprefix(_CHOICE).split(","))
    if len(choices) < 2 or "" in choices:
        raise ValueError("must name two texts at least, none empty: choice:A,B")
    if len(set(choices)) < len(choices) or len(choices) > _MOST:
        raise ValueError(f"must name different texts, {_MOST} at most")
    return ValueType("choice", choices)


@dataclass(frozen=True)
class Asking:
    """Of which type a value is to be, and how sure."""

    type: ValueType = option(
        ...,
        "What the answer has to be: bool, int, float, date (YYYY-MM-DD), or one of several texts,"
        " choice:A,B,C.",
        metavar="TYPE",
        brief="bool, int, float, date, or choice:A,B,C.",
        parse=_type,
    )
    confidence: bool = option(
        False,
        "Print the value's probability behind it, after a tab.",
        panel="Output",
        brief="Print its probability behind it.",
    )
    fail_below: float | None = option(
        None,
        "Print nothing, and end with exit code 9, where the value's probability is under P.",
        metavar="P",
        limit=Limit(0, 1, above=True),
    )
