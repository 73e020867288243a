"""What turns a model from one manner to another? A direction for each layer, made and read out."""

from __future__ import annotations

from collections.abc import Generator
from typing import Literal

from gptcli.plain import dataclass
from gptcli.types.events import Notice, Progress
from gptcli.types.question import Question
from gptcli.types.token import Source, Token

#: The difference of means, or what the differences of pairs have most in common.
Method = Literal["mean", "pca"]
METHODS: tuple[Method, ...] = ("mean", "pca")
#: Which tokens of a text count.
Position = Literal["last", "all"]
POSITIONS: tuple[Position, ...] = ("last", "all")


@dataclass(frozen=True)
class Direction:
    """What is added to the stream behind a layer."""

    layer: int
    vector: tuple[float, ...]


@dataclass(frozen=True)
class SteeringRequest(Question[Generator[Progress | Notice, None, "Steering"]]):
    """Texts that have a manner, and texts that have the opposite one.

    layers: behind which, each once and none the first; None for all others. unit: scale each
    direction to length 1, as those of pca are in any case. special: names of control tokens in the
    texts are read as these tokens.
    """

    asks = "be looked into"

    plus: tuple[str, ...]
    minus: tuple[str, ...]
    method: Method = "mean"
    position: Position = "last"
    layers: tuple[int, ...] | None = None
    unit: bool = False
    special: bool = False


@dataclass(frozen=True)
class Steering:
    """hint: the kind of model, as its config.json calls it. rows: of each side or, of pairs, how
    many differences.
    """

    source: Source
    hint: str
    directions: tuple[Direction, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class SteeringReadRequest(Question["SteeringRead"]):
    """Directions, for each of which so many of the likeliest tokens are told."""

    asks = "be looked into"

    directions: tuple[Direction, ...]
    rows: int = 5


@dataclass(frozen=True)
class DirectionRead:
    """A direction's length, and what it says read out as a stream, and what its opposite says."""

    layer: int
    norm: float
    towards: tuple[tuple[Token, float], ...]
    away: tuple[tuple[Token, float], ...]


@dataclass(frozen=True)
class SteeringRead:
    """What each of the directions says."""

    source: Source
    read: tuple[DirectionRead, ...]
