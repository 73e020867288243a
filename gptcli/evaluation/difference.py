"""Lining two scored texts up, token by token."""

from __future__ import annotations

from difflib import SequenceMatcher
from itertools import zip_longest

from gptcli.types.difference import Change, Difference, Pair
from gptcli.types.score import Score, TokenScore

#: Above this product of lengths, difflib's own shortcut is taken.
_MOST_PAIRS = 2_000_000


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
