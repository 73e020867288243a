"""How surprising is each token of a text? Log-probabilities, ranks, and perplexity."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import field, fields, replace
from typing import Any

from gptcli.plain import dataclass
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
class ScoreRowsRequest(Question["ScoreRows"]):
    """The same, told token by token as they are scored: a long text takes minutes."""

    asks = "score a text"

    text: ScoreRequest


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

    bytes and characters are those of the text that was scored; a character counts where it begins.
    """

    scored: int
    unscored: int
    logprob: float
    bytes: int
    characters: int

    @classmethod
    def of(cls, tokens: Iterable[TokenScore]) -> Totals:
        """The sums over these."""
        sums = Sums()
        for each in tokens:
            sums.add(each)
        return sums.totals

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


class Sums:
    """Totals of tokens that come one after the other, of which nothing but a number is kept."""

    def __init__(self) -> None:
        self._logprobs = array("d")
        self._unscored = self._bytes = self._characters = 0

    def add(self, each: TokenScore) -> None:
        """Count one more."""
        if each.logprob is None:
            self._unscored += 1
            return
        self._logprobs.append(each.logprob)
        self._bytes += len(each.token.bytes)
        self._characters += characters_of(each.token.bytes)

    @property
    def totals(self) -> Totals:
        """The sums over those that were added."""
        return Totals(
            scored=len(self._logprobs),
            unscored=self._unscored,
            logprob=math.fsum(self._logprobs),
            bytes=self._bytes,
            characters=self._characters,
        )


@dataclass(frozen=True)
class Surplus:
    """Bytes and characters of tokens that are none of the text: a space that nobody wrote, which
    some tokenizers put before every text. Below 0 where the text has more.
    """

    bytes: int = 0
    characters: int = 0

    def taken(self, totals: Totals) -> Totals:
        """Those of the text alone."""
        own, letters = totals.bytes - self.bytes, totals.characters - self.characters
        return replace(totals, bytes=own, characters=letters)


def characters_of(data: bytes) -> int:
    """How many characters begin in these bytes of UTF-8."""
    return sum(byte & 0xC0 != 0x80 for byte in data)


def perplexity(logprob: float, count: int) -> float:
    """Of so many tokens, from the sum of their log-probabilities."""
    try:
        return math.exp(-logprob / count)
    except OverflowError:
        return math.inf


@dataclass(frozen=True, kw_only=True)
class ScoredText:
    """How a text was run to be scored.

    context_tokens: how many tokens stand before those of the text, a BOS token included. windows:
    how many the text was run in; above 1, each holds `context_size` tokens, a BOS token included,
    and begins `stride` tokens after the one before. surplus: what the scored tokens have beyond the
    text.
    """

    source: Source
    context_tokens: int
    windows: int
    context_size: int | None
    stride: int | None
    notices: tuple[Notice, ...] = ()
    surplus: Surplus = Surplus()


def told(text: ScoredText) -> dict[str, Any]:
    """How a text was run, for another class that tells it too."""
    return {each.name: getattr(text, each.name) for each in fields(ScoredText)}


@dataclass(frozen=True)
class ScoreEventsRequest(Question["Iterator[ScoredText | TokenScore]"]):
    """The same as it happens: how the text is run, then its tokens."""

    asks = "score a text"

    text: ScoreRequest


@dataclass(frozen=True, kw_only=True)
class Score(ScoredText):
    """A scored text. At least one token is scored.

    tokens: those of the text, with spaces that ended the context and bytes of it that join the
    text within a token.
    """

    tokens: tuple[TokenScore, ...]

    @property
    def totals(self) -> Totals:
        """The sums over all scored tokens."""
        return self.surplus.taken(Totals.of(self.tokens))

    @property
    def read_tokens(self) -> int:
        """How many tokens were read."""
        return self.context_tokens + len(self.tokens)


@dataclass(frozen=True, kw_only=True)
class ScoreRows(ScoredText):
    """A text while it is scored.

    rows: the tokens of Score as they come, once; `tokens` gives them and counts them for `totals`.
    """

    rows: Iterator[TokenScore]
    _sums: Sums = field(default_factory=Sums)

    @property
    def tokens(self) -> Iterator[TokenScore]:
        """Those that have not been given yet."""
        for each in self.rows:
            self._sums.add(each)
            yield each

    @property
    def totals(self) -> Totals:
        """The sums over the scored tokens of all that were given."""
        return self.surplus.taken(self._sums.totals)

    @property
    def read_tokens(self) -> int:
        """How many tokens were read for those that were given."""
        totals = self._sums.totals
        return self.context_tokens + totals.scored + totals.unscored

    def whole(self) -> Score:
        """The text when it is scored. None of its tokens may have been given yet."""
        return Score(tokens=tuple(self.rows), **told(self))
