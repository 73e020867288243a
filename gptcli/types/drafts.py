"""Tokens that were run before they were drawn."""

from __future__ import annotations

from dataclasses import dataclass

#: Why nothing is drafted.
STATES = "layers of this model carry a state that cannot go back"
ALONE = "here a token's numbers may depend on those that run beside it; --speculate N does it still"


@dataclass(frozen=True)
class Drafts:
    """How many tokens were drafted, and how many of them kept; or why none were."""

    drafted: int = 0
    kept: int = 0
    why_not: str = ""
