"""Which tokens did a change of a text make more or less probable? Two scored texts, lined up."""

from __future__ import annotations

from typing import Literal

from gptcli.plain import dataclass
from gptcli.types.score import Score, TokenScore

Change = Literal["same", "changed", "removed", "added"]


@dataclass(frozen=True)
class Pair:
    """A row of the alignment: a token of each text; None where only the other has one."""

    change: Change
    a: TokenScore | None
    b: TokenScore | None

    @property
    def bits(self) -> float | None:
        """How many bits more the second text's token took, where both were scored."""
        if self.a is None or self.b is None or self.a.bits is None or self.b.bits is None:
            return None
        difference = self.b.bits - self.a.bits
        # Infinity less infinity: the model thought both impossible.
        return 0.0 if difference != difference else difference


@dataclass(frozen=True)
class Difference:
    """Two texts and their alignment: every token of each stands in exactly one row, in order."""

    a: Score
    b: Score
    pairs: tuple[Pair, ...]
