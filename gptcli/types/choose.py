"""Which of several continuations is the most probable?"""

from __future__ import annotations

from typing import Literal

from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.token import Source, Token

By = Literal["total", "token", "byte"]


@dataclass(frozen=True)
class ChooseRequest(Question["Choices"]):
    """Rank `choices` as continuations of `prompt`.

    by: what ranks them, the log-probability in total, per token or per byte.
    calibrate: a text without content ("N/A"); what the choices are worth after it is taken away.
    special: control tokens in the prompt are obeyed.
    """

    asks = "tell probabilities"

    prompt: str
    choices: tuple[str, ...]
    by: By = "total"
    calibrate: str | None = None
    special: bool = False


@dataclass(frozen=True)
class ScoredToken:
    """A token of a choice and its log-probability after all that is before it."""

    token: Token
    logprob: float


@dataclass(frozen=True)
class Choice:
    """A choice, `index` being its place among those given, and what it is worth.

    logprob: the natural log-probability of all its tokens. probability: its share among the
    choices, so that these add up to 1. calibrated: log p(choice | prompt) - log p(choice |
    calibrating text), and its share of the choices; None where nothing was calibrated. invented:
    bytes of its tokens that nobody wrote: a space that a tokenizer puts before a text.
    """

    index: int
    text: str
    tokens: tuple[ScoredToken, ...]
    logprob: float
    probability: float
    calibrated: float | None = None
    calibrated_probability: float | None = None
    invented: int = 0

    @property
    def size(self) -> int:
        """How many bytes of text its tokens have."""
        return sum(len(each.token.bytes) for each in self.tokens) - self.invented

    def per(self, by: By, *, calibrated: bool = False) -> float:
        """Its log-probability, or what calibration left of it: in total, per token or per byte."""
        value = self.calibrated if calibrated and self.calibrated is not None else self.logprob
        return value / {"total": 1, "token": len(self.tokens), "byte": max(self.size, 1)}[by]

    def score(self, by: By) -> float:
        """What it is ranked by: calibrated where it is."""
        return self.per(by, calibrated=True)


@dataclass(frozen=True)
class Choices:
    """The choices, best first, as `request.by` ranks them; of equals the one given first."""

    request: ChooseRequest
    ranked: tuple[Choice, ...]
    prompt_tokens: int
    source: Source
    notices: tuple[Notice, ...] = ()

    @property
    def read_tokens(self) -> int:
        """How many tokens were read: the prompt's once, and those of each choice."""
        return self.prompt_tokens + sum(len(each.tokens) for each in self.ranked)
