"""Prompt look-up: what may come next, by what came after the same tokens before."""

from __future__ import annotations

from collections.abc import Iterable

from gptcli.plain import dataclass

#: Tokens that are compared at most, and places that are.
LONGEST, PLACES = 32, 32


@dataclass(frozen=True)
class Found:
    """A place that the text may go on like: the index of its next token, and how many tokens
    before that are those at the text's end, of LONGEST at most.
    """

    at: int
    alike: int


class Lookup:
    """A text's tokens, and where each pair of them stands."""

    def __init__(self, ids: Iterable[int]) -> None:
        self.ids: list[int] = []
        self._last: dict[tuple[int, int], int] = {}  # a pair: what follows it where it came last
        self._before: list[int] = [-1, -1]  # the same of the time before, by where it came later
        #: What stands beside the text's end, where it last went on as before: a token that was
        #: put in another's place is followed by what followed that.
        self._beside: int | None = None
        for token in ids:
            self.append(token)

    def append(self, token: int) -> None:
        """The text goes on with this."""
        if self.ids:
            pair, end = (self.ids[-1], token), len(self.ids) + 1
            self._before.append(self._last.get(pair, -1))
            self._last[pair] = end
        self.ids.append(token)
        if self._beside is not None:
            self._beside += 1

    def find(self) -> Found | None:
        """The place whose tokens before are longest those at the end; of equals the last one."""
        best: Found | None = None
        if self._beside is not None:
            best = Found(self._beside, self._alike(self._beside))
        at = self._before[len(self.ids)] if len(self.ids) > 1 else -1
        for _ in range(PLACES):
            if at < 0 or (best is not None and best.alike == LONGEST):
                break
            alike = self._alike(at)
            if best is None or alike > best.alike:
                best = Found(at, alike)
            at = self._before[at]
        if best is not None:
            self._beside = best.at
        return best

    def after(self, found: Found, count: int) -> list[int]:
        """So many tokens from there on; what repeats itself goes on to."""
        ids, period = self.ids, len(self.ids) - found.at
        return [ids[found.at + i % period] for i in range(count)]

    def _alike(self, at: int) -> int:
        ids, end, alike = self.ids, len(self.ids), 0
        while alike < min(at, LONGEST) and ids[at - 1 - alike] == ids[end - 1 - alike]:
            alike += 1
        return alike
