"""Which positions of a prompt are looked at."""

from __future__ import annotations

from gptcli.plain import dataclass

#: How many of the last positions are looked at where nothing else is asked for.
DEFAULT = 64


@dataclass(frozen=True)
class Window:
    """Positions `start` to `stop`, counted from 0, the second left out; below 0 from the end.

    None is the beginning, or the end. Both None: the last DEFAULT positions.
    """

    start: int | None = None
    stop: int | None = None

    @property
    def asked(self) -> bool:
        """Whether anything was asked for."""
        return self.start is not None or self.stop is not None

    def of(self, count: int) -> range:
        """The positions in a prompt of `count` tokens; perhaps none."""
        if not self.asked:
            return range(max(count - DEFAULT, 0), count)
        return range(count)[self.start : self.stop]
