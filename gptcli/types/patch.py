"""Where does a model keep what tells two prompts apart? Activations of one put into the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from gptcli.plain import dataclass
from gptcli.types.choose import ScoredToken
from gptcli.types.events import Notice
from gptcli.types.gathered import Gathered
from gptcli.types.question import Question
from gptcli.types.token import Source, Token
from gptcli.types.why import Odds, total
from gptcli.types.window import Window

At = Literal["stream", "attention", "mlp", "head"]
Align = Literal["tokens", "left", "right"]
#: Clean activations put into the corrupt run, or corrupt ones into the clean run.
Direction = Literal["denoise", "noise"]

#: A distance in nats of which shares say nothing.
LEAST = 1e-6


@dataclass(frozen=True)
class PatchRequest(Question[Iterator["PatchAsked | Patched"]]):
    """What is asked first, then every patch, direction by direction.

    target: what follows the clean prompt, None for the token that the model finds likeliest there;
    versus: what it is held to. align: which tokens of the prompts belong together. together: those
    of all positions are put in at once. window: positions of the clean prompt. special: control
    tokens in the prompts are obeyed.
    """

    asks = "have activations put into it"

    clean: str
    corrupt: str
    target: str | None = None
    versus: str | None = None
    at: At = "stream"
    align: Align = "tokens"
    directions: tuple[Direction, ...] = ("denoise", "noise")
    together: bool = False
    window: Window = Window()
    special: bool = False


@dataclass(frozen=True)
class Place:
    """Where something is put: a layer (-1 for the embedding), a pair of aligned positions by its
    number, None for all at once, and a head where each is by itself.
    """

    layer: int
    pair: int | None
    head: int | None = None


@dataclass(frozen=True)
class PatchAsked:
    """What is asked about.

    pairs: aligned positions of the clean and of the corrupt prompt, from the first on where the
    prompts differ in anything before it or there. places: those of each direction, in order.
    target, versus: their tokens with log-probabilities after the clean prompt. corrupt_odds: those
    after the corrupt one. likeliest: nobody named the target. with_target: what the tokens of the
    target, or of what it is held to, have is put in along with the last pair, which stands at the
    ends of both prompts: behind each the next one is read.
    """

    request: PatchRequest
    source: Source
    layers: int
    clean: tuple[Token, ...]
    corrupt: tuple[Token, ...]
    pairs: tuple[tuple[int, int], ...]
    places: tuple[Place, ...]
    target: tuple[ScoredToken, ...]
    corrupt_odds: Odds
    versus: tuple[ScoredToken, ...] | None = None
    likeliest: bool = False
    with_target: bool = False
    notices: tuple[Notice, ...] = ()

    @property
    def odds(self) -> Odds:
        """Those after the clean prompt."""
        return Odds(total(self.target), None if self.versus is None else total(self.versus))

    @property
    def count(self) -> int:
        """How many patches there are."""
        return len(self.places) * len(self.request.directions)

    def share(self, value: float) -> float | None:
        """How far from the corrupt run (0) to the clean run (1), None where they are the same."""
        clean, corrupt = self.odds.value, self.corrupt_odds.value
        return None if abs(clean - corrupt) < LEAST else (value - corrupt) / (clean - corrupt)


@dataclass(frozen=True)
class Patched:
    """What a patch makes of it; `place` is its number among the places."""

    direction: Direction
    place: int
    odds: Odds


@dataclass(frozen=True)
class Patching(Gathered):
    """The whole answer, or as much of it as there was time for."""

    asked: PatchAsked
    found: tuple[Patched, ...]

    def share(self, each: Patched) -> float | None:
        """See PatchAsked: 0 is the corrupt run, 1 the clean one."""
        return self.asked.share(each.odds.value)

    def moved(self, each: Patched) -> float | None:
        """How far it went from the run that it was put into (0) to the one it came from (1)."""
        share = self.share(each)
        return share if share is None or each.direction == "denoise" else 1 - share

    def of(self, direction: Direction) -> dict[Place, Patched]:
        """What is known of a direction, by place."""
        here = (each for each in self.found if each.direction == direction)
        return {self.asked.places[each.place]: each for each in here}
