"""How far back attention of a layer sees, and how much of a text has to be held for that."""

from __future__ import annotations

from gptcli.plain import dataclass

#: Positions that attention of the kernels takes at once: what is held begins at a multiple of them.
STRETCH = 64
#: Tokens that can always be taken back: the end of a template, a draft, the beginning of a text
#: that must not come.
BACK = 64
#: New tokens after which what is held is moved; so many run at once.
ROOM = 512


@dataclass(frozen=True)
class Sight:
    """window: how many tokens back a query sees, itself included; chunk: it sees nothing before the
    last multiple of this. None for no bound.
    """

    window: int | None = None
    chunk: int | None = None

    @property
    def reach(self) -> int | None:
        """How many tokens a query sees at most, None for all."""
        bounds = [each for each in (self.window, self.chunk) if each is not None]
        return min(bounds, default=None)

    def first(self, position: int) -> int:
        """The first position that a query sees."""
        near = 0 if self.window is None else position + 1 - self.window
        begins = 0 if self.chunk is None else position - position % self.chunk
        return max(near, begins, 0)

    def begin(self, length: int) -> int:
        """From where on a text of that length has to be there to go on."""
        return self.first(length) // STRETCH * STRETCH

    def origin(self, length: int) -> int:
        """From where on a text of that length is held, so that it can also go back a bit."""
        return self.begin(max(length - BACK, 0))

    @property
    def most(self) -> int | None:
        """For how many tokens there is room at most, so that ROOM more can be run; None for all."""
        if self.reach is None:
            return None
        return -(-(self.reach + BACK + ROOM) // STRETCH) * STRETCH + STRETCH

    def held(self, tokens: int) -> int:
        """How many of so many tokens there has to be room for."""
        return tokens if self.most is None else min(tokens, self.most)
