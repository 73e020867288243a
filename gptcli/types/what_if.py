"""What if one word of a prompt were another? Two walks through the model, held to each other."""

from __future__ import annotations

from dataclasses import field

from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.token import Token
from gptcli.types.window import Window


@dataclass(frozen=True)
class PartedRequest(Question["Parted"]):
    """How far the streams of two prompts part that begin alike and end alike.

    rows: how many of the likeliest next tokens of each are held to the other's. window: of both.
    """

    asks = "be looked into"

    prompt: str
    other: str
    rows: int = 5
    window: Window = field(default_factory=Window)
    special: bool = False


@dataclass(frozen=True)
class Aligned:
    """A token of the prompt and that of the other prompt which has its place.

    start: the cosine of their vectors before the first layer; cosines: after each layer.
    """

    position: int
    token: Token
    other_position: int
    other_token: Token
    start: float
    cosines: tuple[float, ...]


@dataclass(frozen=True)
class Expected:
    """A token that may come next, and how probable it is after each of the prompts."""

    token: Token
    probability: float
    other: float


@dataclass(frozen=True)
class Parted:
    """before, behind: how many tokens both have in common at their beginning and at their end.

    What is between them is replaced. aligned: the last token of that, where both have one, and each
    token behind it; counted from the end they have the same place. Those outside of the window are
    left out. expected: the likeliest of each prompt, those first that one of them finds likeliest.
    """

    prompt_tokens: int
    other_tokens: int
    before: int
    behind: int
    aligned: tuple[Aligned, ...]
    expected: tuple[Expected, ...]
    notices: tuple[Notice, ...] = ()
