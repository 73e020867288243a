"""What would come next if one part of the model added nothing?"""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.plain import dataclass
from gptcli.types.explain import BlockName
from gptcli.types.question import Question
from gptcli.types.token import Token

#: Tokens of a prompt for which each part's absence is computed at most: it takes as long as the
#: prompt takes, once for every part.
MOST_TOKENS = 256


@dataclass(frozen=True)
class PartOff:
    """What follows where one block of a layer adds zero to the stream of every token.

    says: the likeliest tokens; followed: the probabilities of the tokens that were asked about.
    """

    layer: int
    name: BlockName
    says: tuple[tuple[Token, float], ...]
    followed: tuple[float, ...]


@dataclass(frozen=True)
class PartsOffRequest(Question[Iterator[PartOff]]):
    """Each block of some layers switched off by itself, layer after layer.

    drawn: ids of tokens that stand behind the prompt. follow: the ids of tokens whose probability
    is told each time. layers: None for all. rows: how many of the likeliest to tell.
    """

    asks = "be looked into"

    prompt: str
    follow: tuple[int, ...]
    drawn: tuple[int, ...] = ()
    layers: tuple[int, ...] | None = None
    rows: int = 5
    special: bool = False
