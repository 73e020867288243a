"""Two scored texts, lined up token by token."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal

from gptcli.inspection.score import Score, TokenScore

Change = Literal["same", "changed", "removed", "added"]


#: Above this product of lengths, difflib's own shortcut is taken.
_MOST_PAIRS = 2_000_000


@dataclass(frozen=True)
class Pair:
    """A row of the alignment; None where only the other text has a token."""

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


def difference(a: Score, b: Score) -> Difference:
    """Line two scored texts up by their token ids, as difflib does.

    Where several tokens became several others, they stand beside each other in order.
    """
    ids_a, ids_b = ([each.token.id for each in score.tokens] for score in (a, b))
    pairs: list[Pair] = []
    # autojunk takes the commonest tokens, spaces and commas, out of the alignment, so it is for
    # long texts only, where a repetitive one would otherwise take minutes.
    junk = len(ids_a) * len(ids_b) > _MOST_PAIRS
    for _, i, j, k, m in SequenceMatcher(None, ids_a, ids_b, autojunk=junk).get_opcodes():
        for left, right in zip_longest(a.tokens[i:j], b.tokens[k:m]):
            pairs.append(Pair(_change(left, right), left, right))
    return Difference(a, b, tuple(pairs))


def _change(a: TokenScore | None, b: TokenScore | None) -> Change:
    if a is None:
        return "added"
    if b is None:
        return "removed"
    return "same" if a.token.id == b.token.id else "changed"
