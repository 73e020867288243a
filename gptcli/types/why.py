"""Which parts of a prompt hang what follows on? Each left out, and what that changes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import Literal

from gptcli.plain import dataclass
from gptcli.types.choose import ScoredToken
from gptcli.types.events import Notice
from gptcli.types.gathered import Gathered
from gptcli.types.question import Question
from gptcli.types.token import Source, Token

#: How many pairs may be left out: more than anyone reads.
MAX_PAIRS = 10_000

By = Literal["token", "word", "sentence", "line"]


@dataclass(frozen=True)
class WhyRequest(Question[Iterator["Asked | Without"]]):
    """What is asked first, then what is left of it without each part, in the order of the text.

    target: what follows the prompt, None for the token that the model finds likeliest; versus:
    what it is held to. by: what a part is. replace: the text of a token that stands in the place
    of each that is taken away, None where nothing does. pairs: each two are left out together as
    well, behind the single ones. special: control tokens in the prompt are obeyed. as_chat: the
    prompt is a message of the user, as the model's chat form writes it; the form is never left out.
    """

    asks = "tell probabilities"

    prompt: str
    target: str | None = None
    versus: str | None = None
    by: By = "token"
    replace: str | None = None
    pairs: bool = False
    special: bool = False
    as_chat: bool = False


@dataclass(frozen=True)
class Part:
    """Tokens of the prompt that are left out together, the first at position `first`."""

    first: int
    tokens: tuple[Token, ...]

    @property
    def bytes(self) -> bytes:
        """Those of its tokens."""
        return b"".join(each.bytes for each in self.tokens)


@dataclass(frozen=True)
class Odds:
    """Natural log-probabilities of the target, and of what it is held to, None where nothing is."""

    target: float
    versus: float | None = None

    @property
    def value(self) -> float:
        """What is asked about: the target's, or by how much it is more than the other's."""
        return self.target if self.versus is None else self.target - self.versus


@dataclass(frozen=True)
class Asked:
    """What is asked about: all tokens of the prompt and which parts of it are left out.

    target, versus: their tokens after the whole prompt, with log-probabilities. likeliest: nobody
    named the target. put: what replaces a token.
    """

    request: WhyRequest
    source: Source
    tokens: tuple[Token, ...]
    parts: tuple[Part, ...]
    target: tuple[ScoredToken, ...]
    versus: tuple[ScoredToken, ...] | None = None
    likeliest: bool = False
    put: Token | None = None
    notices: tuple[Notice, ...] = ()

    @property
    def odds(self) -> Odds:
        """Those after the whole prompt."""
        return Odds(total(self.target), None if self.versus is None else total(self.versus))

    @property
    def count(self) -> int:
        """How many prompts with something left out there are."""
        count = len(self.parts)
        return count + (math.comb(count, 2) if self.request.pairs else 0)


def total(tokens: Iterable[ScoredToken]) -> float:
    """The log-probability of all tokens together."""
    return math.fsum(each.logprob for each in tokens)


@dataclass(frozen=True)
class Without:
    """What is left without some parts, one or two, which are named by their places."""

    parts: tuple[int, ...]
    odds: Odds


@dataclass(frozen=True)
class Why(Gathered):
    """The whole answer, or as much of it as there was time for."""

    asked: Asked
    found: tuple[Without, ...]

    @property
    def singles(self) -> tuple[Without, ...]:
        """Those without one part."""
        return tuple(each for each in self.found if len(each.parts) == 1)

    @property
    def pairs(self) -> tuple[Without, ...]:
        """Those without two."""
        return tuple(each for each in self.found if len(each.parts) == 2)

    def change(self, of: Without) -> float:
        """By how much the value changed; below 0 where the target hangs on what was left out."""
        return of.odds.value - self.asked.odds.value

    @property
    def changes(self) -> dict[int, float]:
        """The changes of single parts by their places, of those that are known."""
        return {each.parts[0]: self.change(each) for each in self.singles}

    @property
    def interactions(self) -> dict[tuple[int, int], float]:
        """By how much the change without both is more than the two changes together."""
        alone = self.changes
        return {
            (one, other): self.change(each) - alone[one] - alone[other]
            for each in self.pairs
            for one, other in [each.parts]
        }

    @property
    def unknown(self) -> list[tuple[int, ...]]:
        """The parts, and pairs of them, that were not come to."""
        places = range(len(self.asked.parts))
        known = {each.parts for each in self.found}
        wanted: list[tuple[int, ...]] = [(at,) for at in places]
        wanted += [*combinations(places, 2)] if self.asked.request.pairs else []
        return [each for each in wanted if each not in known]
