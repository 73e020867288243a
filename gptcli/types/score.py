"""How surprising is each token of a text? Log-probabilities, ranks, and perplexity."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.token import Source, Token

_LN2 = math.log(2)


@dataclass(frozen=True)
class ScoreRequest(Question["Score"]):
    """One text to be scored.

    context: what stands before the text; it is run, and not scored. stride: by how many tokens
    the windows move on where the text is longer than the context; None is half the context.
    special: names of control tokens are read as these tokens. subject: what an error calls the
    text.
    """

    asks = "score a text"

    text: str
    context: str = ""
    stride: int | None = None
    special: bool = False
    subject: str = "text"


@dataclass(frozen=True)
class TokenScore:
    """A token, its natural log-probability at its place, and what the model would have chosen.

    rank: 1 is the most probable token; ties share the better rank. All are None for a token with
    nothing before it, which no model can score.
    """

    token: Token
    logprob: float | None = None
    rank: int | None = None
    best: Token | None = None
    best_logprob: float | None = None

    @property
    def bits(self) -> float | None:
        """The surprisal, -log2 p: 1 bit is a coin toss."""
        # Not -0.0 for a certain token.
        return None if self.logprob is None else abs(self.logprob) / _LN2


@dataclass(frozen=True)
class Totals:
    """Sums over the scored tokens of a text. Infinite where the model thought one impossible.

    bytes and characters are those of the scored tokens; a character counts where it begins.
    """

    scored: int
    unscored: int
    logprob: float
    bytes: int
    characters: int

    @property
    def bits(self) -> float:
        """The surprisal of all of them together, in bits."""
        return abs(self.logprob) / _LN2

    @property
    def perplexity(self) -> float:
        """As if each were chosen among so many equals: exp of the mean negative logprob."""
        return perplexity(self.logprob, self.scored)

    @property
    def bits_per_token(self) -> float:
        """The mean surprisal."""
        return self.bits / self.scored

    @property
    def bits_per_byte(self) -> float:
        """Comparable between models with other tokens."""
        return self.bits / self.bytes if self.bytes else math.inf

    @property
    def bits_per_character(self) -> float:
        """Infinite where the scored tokens begin no character."""
        return self.bits / self.characters if self.characters else math.inf


def perplexity(logprob: float, count: int) -> float:
    """Of so many tokens, from the sum of their log-probabilities."""
    try:
        return math.exp(-logprob / count)
    except OverflowError:
        return math.inf


@dataclass(frozen=True)
class Score:
    """A scored text. At least one token is scored.

    tokens: those of the text, with spaces that ended the context and bytes of it that join the
    text within a token. context_tokens: how many stand before them, a BOS token included. windows:
    how many the text was run in; above 1, each holds `context_size` tokens, a BOS token included,
    and begins `stride` tokens after the one before.
    """

    source: Source
    tokens: tuple[TokenScore, ...]
    context_tokens: int
    windows: int
    context_size: int
    stride: int
    notices: tuple[Notice, ...] = ()

    @property
    def totals(self) -> Totals:
        """The sums over all scored tokens."""
        scored = [each for each in self.tokens if each.logprob is not None]
        data = b"".join(each.token.bytes for each in scored)
        return Totals(
            scored=len(scored),
            unscored=len(self.tokens) - len(scored),
            logprob=math.fsum(each.logprob for each in scored if each.logprob is not None),
            bytes=len(data),
            characters=sum(byte & 0xC0 != 0x80 for byte in data),
        )
