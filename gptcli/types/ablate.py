"""Which parts of a model does an answer hang on? Each switched off, and what that changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from gptcli.plain import dataclass
from gptcli.types.choose import ScoredToken
from gptcli.types.completion import Event, Request
from gptcli.types.events import Notice
from gptcli.types.gathered import Gathered
from gptcli.types.model_part import Kind, ModelPart
from gptcli.types.question import Question
from gptcli.types.token import Source, Token
from gptcli.types.why import Odds, total
from gptcli.types.window import Window

Put = Literal["mean", "zero", "resample"]


@dataclass(frozen=True)
class Off:
    """How parts are switched off.

    parts: those that are off all the time. put: what stands in the place of what a part does: its
    mean over a reference text, nothing, or what it does at tokens of that text, drawn by `seed`.
    reference: that text, None for our own. window: the positions at which they are off, and none
    asked for all of them, also of what comes behind the prompt.
    """

    parts: tuple[ModelPart, ...] = ()
    put: Put = "mean"
    reference: str | None = None
    seed: int = 0
    window: Window = Window()


@dataclass(frozen=True)
class AblateRequest(Question[Iterator["AblateAsked | Ablated"]]):
    """What is asked first, then what is left of it with parts off, in the order of the model.

    target: what follows the prompt, None for the token that the model finds likeliest; versus:
    what it is held to. each: every part of this kind by itself, while those of `off` are off
    too; None for those of `off` by themselves and then, where they are several, together.
    special: control tokens in the prompt are obeyed.
    """

    asks = "have parts switched off"

    prompt: str
    off: Off
    each: Kind | None = None
    target: str | None = None
    versus: str | None = None
    special: bool = False


@dataclass(frozen=True)
class AblatedCompletionRequest(Question[Iterator[Event]]):
    """A completion while parts are off: what `request` gives, as it comes."""

    asks = "have parts switched off"

    request: Request
    off: Off


@dataclass(frozen=True)
class AblateAsked:
    """What is asked about: the prompt, and which parts are switched off together in each step.

    target, versus: their tokens with log-probabilities while nothing but `always` is off.
    likeliest: nobody named the target. whole: those of both while nothing at all is off, None
    where that is the same. reference_tokens: how many of a reference text were read.
    """

    request: AblateRequest
    source: Source
    layers: int
    tokens: tuple[Token, ...]
    steps: tuple[tuple[ModelPart, ...], ...]
    always: tuple[ModelPart, ...]
    target: tuple[ScoredToken, ...]
    versus: tuple[ScoredToken, ...] | None = None
    likeliest: bool = False
    whole: Odds | None = None
    reference_tokens: int = 0
    notices: tuple[Notice, ...] = ()

    @property
    def count(self) -> int:
        """How many steps there are."""
        return len(self.steps)

    @property
    def odds(self) -> Odds:
        """Those while nothing but `always` is off."""
        return Odds(total(self.target), None if self.versus is None else total(self.versus))


@dataclass(frozen=True)
class Ablated:
    """What is left in a step, which is named by its place."""

    step: int
    odds: Odds


@dataclass(frozen=True)
class Ablation(Gathered):
    """The whole answer, or as much of it as there was time for."""

    asked: AblateAsked
    found: tuple[Ablated, ...]

    def parts(self, each: Ablated) -> tuple[ModelPart, ...]:
        """What was off in it beside what always is."""
        return self.asked.steps[each.step]

    def change(self, each: Ablated) -> float:
        """By how much the value changed; below 0 where the target hangs on what was off."""
        return each.odds.value - self.asked.odds.value

    @property
    def changes(self) -> dict[ModelPart, float]:
        """The changes of single parts, of those that are known."""
        single = (each for each in self.found if len(self.parts(each)) == 1)
        return {self.parts(each)[0]: self.change(each) for each in single}

    @property
    def unknown(self) -> range:
        """The steps that were not come to."""
        return range(len(self.found), len(self.asked.steps))
