"""The table of embeddings as a space: which tokens lie in the direction of a vector."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.runner import Runner

#: Rows of the table that are held in float32 at once.
ROWS = 8192
#: What a length counts as at least, so that a vector of zeros stays one.
_LEAST = 1e-12


def cosines(runner: Runner, wanted: Array) -> Array:
    """The cosine of each vector (n, width) with every row of the input embedding, (n, vocab).

    A vector without a length has the cosine 0 with all.
    """
    xp, vocab = namespace(wanted), runner.spec.vocab
    unit, parts = unit_length(wanted), []
    for start in range(0, vocab, ROWS):
        rows = runner.embeddings(range(start, min(start + ROWS, vocab)))
        # The products are fewer than the rows' numbers: those are divided by the lengths.
        parts.append(xp.matmul(unit, xp.matrix_transpose(rows)) / _lengths(rows))
    return xp.concat(parts, axis=-1)


def nearest(runner: Runner, ids: Sequence[int], count: int) -> tuple[Array, Array]:
    """The tokens whose rows lie nearest to those of `ids`, themselves left out.

    Ids and cosines, (ids, count) each, the nearest first.
    """
    found = cosines(runner, runner.embeddings(ids))
    found[list(range(len(ids))), list(ids)] = -math.inf
    tokens = arrays.top_ids(found, min(count, found.shape[-1] - 1))
    return tokens, namespace(found).take_along_axis(found, tokens, axis=-1)


def unit_length(rows: Array) -> Array:
    """Rows of length 1 in float32; a row of zeros stays one."""
    rows = arrays.float32(rows)
    return rows / _lengths(rows)[..., None]


def cosine(one: Array, other: Array) -> Array:
    """The cosine of each row with the other's, (…, width) twice → (…)."""
    return namespace(one).sum(unit_length(one) * unit_length(other), axis=-1)


def _lengths(rows: Array) -> Array:
    """(…, width) → (…)."""
    xp = namespace(rows)
    return xp.clip(arrays.length(rows), _LEAST, None)
