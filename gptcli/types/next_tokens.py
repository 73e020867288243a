"""What comes next? The distribution over the next token, before and after the sampler."""

from __future__ import annotations

from dataclasses import field
from typing import Protocol

from gptcli.plain import dataclass
from gptcli.types.constraints import Constraint
from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.sampling import Sampling, SamplingWish
from gptcli.types.token import Source, Token


@dataclass(frozen=True)
class NextTokensRequest(Question["Distribution"]):
    """One look at what follows a prompt.

    rows: how many of the most probable tokens to tell, by the model's own (raw) probabilities, or
    with by_drawn by those after the sampler. temperatures: further ones to tell the raw
    distribution at. whole: tell every token's log-probability as well, for comparisons.
    special: as in Request. subject: what an error calls the prompt. constraint: what the text that
    follows has to be.
    """

    asks = "tell probabilities"

    prompt: str
    sampling: SamplingWish = field(default_factory=SamplingWish)
    rows: int = 10
    temperatures: tuple[float, ...] = ()
    by_drawn: bool = False
    whole: bool = False
    special: bool = False
    subject: str = "prompt"
    constraint: Constraint | None = None


@dataclass(frozen=True)
class AtStage:
    """A token after one stage of the sampler; its logit is -inf once it is filtered out."""

    logit: float
    probability: float


@dataclass(frozen=True)
class Candidate:
    """A token that may come next.

    rank: 1 is the token with the highest raw logit; of equals, the lowest id comes first.
    logit, logprob and probability are the model's own, before the sampler. drawn is the
    probability with which the sampler draws it. cut_by names the stage that took it away.
    stages and at_temperatures follow those of the Distribution. ends: it ends the text. A server
    tells logprob and probability alone: logit, drawn and ends are None.
    """

    rank: int
    token: Token
    logit: float | None
    logprob: float
    probability: float
    drawn: float | None
    cut_by: str | None = None
    stages: tuple[AtStage, ...] = ()
    at_temperatures: tuple[float, ...] = ()
    ends: bool | None = False


@dataclass(frozen=True)
class Spread:
    """How wide a distribution is: its entropy in bits, how many tokens it holds at all.

    tokens counts those whose probability is above 0.
    """

    entropy: float
    tokens: int

    @property
    def choices(self) -> float:
        """How many equally likely tokens would be as uncertain: 2 to the entropy."""
        return float(2.0**self.entropy)


@dataclass(frozen=True)
class Whole:
    """Every token of the vocabulary, by id: its raw log-probability and its bytes."""

    logprobs: tuple[float, ...]
    tokens: tuple[bytes, ...]


@dataclass(frozen=True)
class Distribution:
    """What follows a prompt. `stages` names the sampler's stages that ran; the first is "logits",
    the raw ones, and the last gives what is drawn from. `notices` are about the prompt. What a
    server does not tell is None: the sizes, all but the likeliest tokens, and so both spreads.
    forbidden: the raw probability of all tokens that a constraint takes away here, None without.
    """

    source: Source
    prompt: str
    prompt_tokens: int | None
    vocabulary: int | None
    sampling: Sampling | SamplingWish
    stages: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    raw: Spread | None
    drawn: Spread | None
    temperatures: tuple[tuple[float, Spread], ...] = ()
    whole: Whole | None = None
    notices: tuple[Notice, ...] = ()
    forbidden: float | None = None

    @property
    def raw_mass(self) -> float:
        """The raw probability of all candidates together."""
        return sum(each.probability for each in self.candidates)

    @property
    def drawn_mass(self) -> float:
        """How probable it is that one of the candidates is drawn."""
        return sum(each.drawn or 0.0 for each in self.candidates)


@dataclass(frozen=True)
class Step:
    """One step of a walk: the distribution, and the token of it that was taken."""

    number: int
    distribution: Distribution
    taken: Candidate


class Walk(Protocol):
    """A prompt that goes on one token at a time. Each new place costs one forward."""

    @property
    def room(self) -> int:
        """How many tokens the context still has room for."""
        ...

    @property
    def taken(self) -> bytes:
        """The bytes of all tokens that were taken."""
        ...

    def look(self) -> Distribution:
        """What may come here. Raises NonFiniteError where that is no distribution."""
        ...

    def draw(self) -> Candidate:
        """A token, drawn as a completion with the same settings and seed would; not yet taken."""
        ...

    def take(self, token: int | None) -> None:
        """Append a token, by its id. Raises ValueError where there is no room, or no id."""
        ...


@dataclass(frozen=True)
class WalkRequest(Question[Walk]):
    """The distribution, to go on from; the seed is that of its draws."""

    asks = "tell probabilities"

    first: NextTokensRequest
    seed: int = 0
