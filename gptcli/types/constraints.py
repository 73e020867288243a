"""What a text has to be: JSON, JSON of a schema, what an expression or a grammar says, one of some.

A Constraint is part of a question. What became of it is told with the answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from gptcli.plain import dataclass

Kind = Literal["json-object", "json-schema", "regex", "grammar", "one-of"]

#: What follows an interrupted text is looked for no further than so many bytes.
MOST_MISSING = 500


#: What the stage before the sampler's is called, in which it takes tokens away.
STAGE = "constraint"


@dataclass(frozen=True)
class Constraint:
    """What a text has to be, whole.

    text: the schema in JSON, the regular expression, or the grammar, which is llguidance's Lark or
    llama.cpp's GBNF; choices: of "one-of". repair: what a limit cut off is closed.
    """

    kind: Kind
    text: str = ""
    choices: tuple[str, ...] = ()
    repair: bool = False

    @property
    def flag(self) -> str:
        """By what errors know it."""
        return f"--{self.kind}"

    def forbidden(self, token: str) -> str:
        """What it says to a token that it forbids where a text stands."""
        return f"forbids {token!r} here, so that it cannot be taken"


@dataclass(frozen=True)
class Unfinished:
    """A text that is not whole: of which sample, and with what it would be, None where no end was
    found nearby. stopped: by a stop string, not by a limit. begun: that which is constrained.
    """

    index: int
    missing: str | None
    stopped: bool = False
    begun: bool = True

    @property
    def in_words(self) -> str:
        """What is missing."""
        if not self.begun:
            return "it ended before its constrained part began"
        if self.stopped:
            return "a stop string ended it before it was whole"
        if self.missing is None:
            return "it ended before it was whole"
        return f"it ended before it was whole: {self.missing!r:.80} is missing at least"


@dataclass(frozen=True)
class Repaired:
    """What was put behind a sample's text to make it whole, which the model did not write."""

    index: int
    text: str


@dataclass(frozen=True)
class ConstraintUse:
    """What became of a constraint, of all samples together.

    steps: tokens that were drawn under it, the ends of texts included; decided: those of them
    where it forbade the token that was the most probable one to the model.
    """

    steps: int = 0
    decided: int = 0
    unfinished: tuple[Unfinished, ...] = ()
    repaired: tuple[Repaired, ...] = ()

    def __add__(self, other: ConstraintUse) -> ConstraintUse:
        return ConstraintUse(
            self.steps + other.steps,
            self.decided + other.decided,
            (*self.unfinished, *other.unfinished),
            (*self.repaired, *other.repaired),
        )

    def counted_from(self, first: int) -> ConstraintUse:
        """The same of samples whose first is not number 0."""
        unfinished = (replace(each, index=first + each.index) for each in self.unfinished)
        repaired = (replace(each, index=first + each.index) for each in self.repaired)
        return ConstraintUse(self.steps, self.decided, tuple(unfinished), tuple(repaired))

    @property
    def in_words(self) -> str:
        """A line of `--stats`."""
        share = f" ({self.decided / self.steps:.0%})" if self.steps else ""
        return f"constraint: decided {self.decided} of {self.steps} steps{share}"
