"""What would the model say, were it read out after each layer? The logit lens; the tuned one."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.token import Source, Token
from gptcli.types.window import Window


@dataclass(frozen=True)
class LensRequest(Question["Lens"]):
    """rows: how many of the likeliest tokens to tell at each place.

    track: the text of one token whose rank is told at every place. tuned: a file of the translators
    of a tuned lens, None for the logit lens. special: control tokens in the prompt are obeyed.
    """

    asks = "be looked into"

    prompt: str
    rows: int = 5
    track: str | None = None
    tuned: Path | None = None
    window: Window = field(default_factory=Window)
    special: bool = False


@dataclass(frozen=True)
class Ranked:
    """Where a token stands among all: rank 1 is the likeliest."""

    rank: int
    probability: float


@dataclass(frozen=True)
class Reading:
    """The stream of one position, read out after one layer (final norm and head).

    top: the likeliest tokens with their probabilities. answer: where the token stands that the
    last layer says at this position; tracked: where the one stands that was asked for.
    """

    top: tuple[tuple[Token, float], ...]
    answer: Ranked
    tracked: Ranked | None = None


@dataclass(frozen=True)
class Lens:
    """grid[n][i]: position first + i before layer n, so grid[0] is the embedding alone.

    answers: what the last layer says at each position; settled: the layer after which it first is
    rank 1 there, -1 for the embedding alone.
    """

    request: LensRequest
    source: Source
    tokens: tuple[Token, ...]
    first: int
    prompt_tokens: int
    layers: int
    grid: tuple[tuple[Reading, ...], ...]
    answers: tuple[Token, ...]
    settled: tuple[int, ...]
    tracked: Token | None = None
    notices: tuple[Notice, ...] = ()
