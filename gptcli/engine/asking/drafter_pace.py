"""Whether drafts of a smaller model pay, and how long they should be.

How often a token is right is learned by how sure that model was of it; what all of it took and
brought, by whole drafts. Where they lose, they are left off, and tried again after a while.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

from gptcli.engine.asking.pace import SIZES, Pace

#: Tokens of a draft at most.
MOST = SIZES[-1]
#: Probabilities between which a token is right as often as any other.
_STEPS = (0.2, 0.4, 0.6, 0.8, 0.9, 0.97)
#: How often it is right there, before anything is known, and as how many tokens that counts.
_BEFORE = (0.1, 0.3, 0.5, 0.7, 0.85, 0.93, 0.98)
_COUNTS = 3.0
#: What is known is worth so much less with each token, and with each draft.
_FADES, _DRAFT_FADES = 0.97, 0.9
#: What a draft gains before any was judged, in passes of one token, and as how many that counts.
_GAINS, _COUNTS_AS = 0.5, 2.0
#: How many times longer than what was kept before a draft may be.
_LONGER = 2.5
#: Tokens after which drafts that lost are tried again, and how many times that each time after.
_WAITS, _GROWS = 32, 4


class DrafterPace:
    """What a run has shown of a model's drafts; `passes` of what passes take."""

    def __init__(self, passes: Pace) -> None:
        self._passes = passes
        self._right = [share * _COUNTS for share in _BEFORE]
        self._tried = [_COUNTS] * len(_BEFORE)
        self._gained, self._drafts = _GAINS * _COUNTS_AS, _COUNTS_AS
        self._waits, self._left = _WAITS, 0
        self._longest = 1.0  # what was kept of a draft at most, and less with each one since
        self._warm = False
        self._each: float | None = None  # a drafted token, in passes of one token

    def begins(self) -> bool:
        """Whether to draft for the next token; asked once for each."""
        if not self._passes.timed:
            return False
        if self._left:
            self._left -= 1
            return False
        return True

    def goes_on(self, shares: Sequence[float]) -> bool:
        """Whether a token more, behind those of these probabilities, is likely worth its time."""
        if not shares:
            return True
        size = len(shares)
        if size >= self._longest * _LONGER + 1:
            return False
        adds = self._passes.cost(size + 1) - self._passes.cost(size) + (self._each or 0.0)
        return self._all_right(shares)[-1] * self._mean() > adds

    def length(self, shares: Sequence[float]) -> int:
        """How many of these drafted tokens to run; the time that they took is gone either way."""
        best, found, kept = 0.0, 0, 0.0
        for size, right in enumerate(self._all_right(shares), 1):
            kept += right
            gain = kept + 1 - self._passes.cost(size)
            if gain > best:
                best, found = gain, size
        return found

    def learn(self, share: float, right: bool) -> None:
        """A token of this probability was right or not."""
        at = bisect(_STEPS, share)
        self._right[at] = self._right[at] * _FADES + right
        self._tried[at] = self._tried[at] * _FADES + 1

    def drafted(self, size: int, seconds: float) -> None:
        """So many tokens took so long to draft."""
        each = seconds / size / self._passes.one
        if not self._warm:
            # The first one brings weights in from the disk.
            self._warm = True
        elif self._each is None:
            self._each = each
        else:
            self._each += (each - self._each) / 4

    def judged(self, drafted: int, run: int, kept: int) -> None:
        """Of so many that were drafted, some were run and some of these kept."""
        self._longest = max(self._longest * _DRAFT_FADES, kept)
        cost = self._passes.cost(run) - 1 if run else 0.0
        gain = kept - cost - drafted * (self._each or 0.0)
        self._gained = self._gained * _DRAFT_FADES + gain
        self._drafts = self._drafts * _DRAFT_FADES + 1
        if self._gained <= 0:
            self._left = self._waits
            self._waits *= _GROWS
            self._gained, self._drafts = _GAINS / 2, _COUNTS_AS / 2
        elif self._gained > self._drafts * _GAINS:
            self._waits = _WAITS

    def _all_right(self, shares: Sequence[float]) -> list[float]:
        """How likely all are right up to each."""
        found, all_right = [], 1.0
        for share in shares:
            at = bisect(_STEPS, share)
            all_right *= self._right[at] / self._tried[at]
            found.append(all_right)
        return found

    def _mean(self) -> float:
        return sum(self._right) / sum(self._tried)
