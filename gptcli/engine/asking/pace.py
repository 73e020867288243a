"""Whether drafts pay, and how long they should be: by what passes take, and what was kept of them.

Everything is measured in the run. How often a look-up is right is learned of every token, also of
those for which nothing is drafted, so that only the time of a longer pass has to be tried out.
"""

from __future__ import annotations

from collections import deque
from statistics import median, median_low

#: Tokens of a draft, so that with the one before a pass fills the kernels' tiles.
SIZES = (1, 2, 5, 11, 17)
#: Where more tokens are alike than each of these, a look-up is right more often.
_STEPS = (0, 1, 2, 3, 5, 8, 16)
#: How often it is right there, before anything is known, and as how many tokens that counts.
_BEFORE = (0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 0.9, 0.95)
_COUNTS = 3.0
#: What is known is worth so much less with each token that is learned.
_FADES = 0.97
#: What a token more adds to a pass before one was timed, in passes of one token.
_ADDS = 0.5
#: The least that is believed of that, and how many times larger than any before a draft may be:
#: from one pass that was quick by chance nothing is concluded of long ones.
_AT_LEAST, _GROWS = 0.02, 2.5
#: A draft has to promise so much more than the same time without.
_LEAST = 1.05
#: How much drafts may lose, in passes of one token: at first (and half of it where times are
#: forgotten), for each token, and after gains.
_FIRST, _EACH, _MOST = 1.25, 0.01, 10.0
#: Passes of one token that are timed before anything is drafted, and that are remembered.
_TIMED, _REMEMBERED = 2, 16
#: Passes before their time is believed where it is more than was expected: machines are busy at
#: times. Tokens after which times are forgotten where nothing was drafted since.
_SURE, _STALE = 3, 96


class Pace:
    """What a run of a model has shown of its passes and of its drafts."""

    def __init__(self) -> None:
        self._alone: deque[float] = deque(maxlen=_REMEMBERED)
        self._together: dict[int, deque[float]] = {}
        self._right = [share * _COUNTS for share in _BEFORE]
        self._tried = [_COUNTS] * len(_BEFORE)
        self._may_lose = _FIRST
        self._idle = 0

    @property
    def timed(self) -> bool:
        """Whether enough passes of one token were timed to say what others cost."""
        return len(self._alone) >= _TIMED

    @property
    def one(self) -> float:
        """Seconds of a pass of one token, where some were timed."""
        return median(self._alone)

    def length(self, alike: int, room: int) -> int:
        """How many tokens to draft where so many are alike, of at most `room`; often none."""
        if not self.timed:
            return 0
        best, found = _LEAST, 0
        timed = max(self._together, default=0)
        for size in SIZES:
            if size > min(room, max(_GROWS * timed, SIZES[1])):
                break
            cost = self.cost(size)
            if cost - 1 <= self._may_lose and self._expected(alike, size) / cost > best:
                best, found = self._expected(alike, size) / cost, size
        return found

    def cost(self, size: int) -> float:
        """What a pass with a draft of that size takes, in passes of one token."""
        timed = self._together.get(size)
        if timed is None:
            near = min(self._together, key=lambda other: abs(other - size), default=None)
            adds = _ADDS if near is None else max((self.cost(near) - 1) / near, _AT_LEAST)
            return 1 + adds * size
        cost = median_low(timed) / self.one
        sure = sum(map(len, self._together.values())) >= _SURE
        return cost if sure else min(cost, 1 + _ADDS * size)

    def passed(self, size: int, seconds: float) -> None:
        """A pass with a draft of that size, 0 for none, took so long."""
        if size:
            self._together.setdefault(size, deque(maxlen=_REMEMBERED)).append(seconds)
            self._idle = 0
        else:
            self._alone.append(seconds)

    def learn(self, alike: int, right: bool) -> None:
        """A token was drawn, and what had been looked up for it was right or not."""
        at = _step(alike)
        self._right[at] = self._right[at] * _FADES + right
        self._tried[at] = self._tried[at] * _FADES + 1
        self._may_lose = min(self._may_lose + _EACH, _MOST)
        self._idle += 1
        if self._idle > _STALE:
            self._together.clear()
            self._may_lose, self._idle = max(self._may_lose, _FIRST / 2), 0

    def judged(self, size: int, kept: int) -> None:
        """So many tokens of a draft of that size were kept."""
        gained = 1 + kept - self.cost(size)
        self._may_lose = min(self._may_lose + gained, _MOST)

    def _expected(self, alike: int, size: int) -> float:
        """How many tokens a pass gives: the one that every pass gives, and what is kept."""
        total = all_right = 1.0
        for i in range(size):
            at = _step(alike + i)
            all_right *= self._right[at] / self._tried[at]
            total += all_right
        return total


def _step(alike: int) -> int:
    return sum(alike > step for step in _STEPS)
