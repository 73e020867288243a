"""One of several hand-made shares of the rows: every n-th."""

from __future__ import annotations

import re

from gptcli.plain import dataclass

#: More machines than anybody starts by hand.
_MOST = 100_000


@dataclass(frozen=True)
class Shard:
    """Share `number`, from 1, of `of`: row i, from 0, belongs to share i % of + 1.

    Every n-th, not a block: that needs no count of the rows, so that they may come from a pipe, and
    shares take about as long. Results of all shares, a line of each in turn, are the whole.
    """

    number: int = 1
    of: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """K/N. Raises ValueError for anything else."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        number, of = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 1 <= number <= of <= _MOST:
            raise ValueError(f"must be K/N, such as 2/8, with K from 1 to N, not {text!r}")
        return cls(number, of)

    def has(self, index: int) -> bool:
        """Whether a row belongs to this share."""
        return index % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
