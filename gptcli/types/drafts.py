"""Tokens that were run before they were drawn."""

from __future__ import annotations

from gptcli.plain import dataclass
from gptcli.units import counted

#: Why nothing is drafted.
STATES = "layers of this model carry a state that cannot go back"
ALONE = "here a token's numbers may depend on those that run beside it; --speculate N does it still"


@dataclass(frozen=True)
class Drafts:
    """How many tokens were drafted, and how many of them kept; or why none were."""

    drafted: int = 0
    kept: int = 0
    why_not: str = ""

    def __add__(self, other: Drafts) -> Drafts:
        """What two texts had together."""
        why = self.why_not or other.why_not
        return Drafts(self.drafted + other.drafted, self.kept + other.kept, why)

    @property
    def in_words(self) -> str:
        """In a line, for `--stats`."""
        if self.why_not:
            return f"drafts: none, since {self.why_not}"
        return f"drafts: {counted(self.drafted, 'token')}, {self.kept} of them kept"
