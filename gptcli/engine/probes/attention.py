"""Attention weights: how much of each token's value a query takes, head by head."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.model.angles import Floats, slopes
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.points import Point
from gptcli.engine.runner import Runner


class AttentionWeights:
    """A probe that computes the weights of some positions of one row, beside the pass.

    Fused kernels keep the weights to themselves, so they are computed once more from the queries
    and keys of the pass. positions: whose queries; layers: which layers, None for all that have
    attention; first_key: what goes to keys before that position is only summed up.
    """

    def __init__(
        self,
        runner: Runner,
        positions: range,
        layers: Collection[int] | None = None,
        *,
        first_key: int = 0,
    ) -> None:
        self.positions = positions
        self._runner, self._spec = runner, runner.spec
        self._layers = self._spec.attending if layers is None else layers
        self._first_key = first_key
        self._queries: tuple[Array, int] | None = None
        self._parts: dict[int, list[Array]] = {}
        self._sums: dict[int, list[Array]] = {}

    def wants(self, point: Point, layer: int) -> bool:
        """See Probe."""
        return point in ("queries", "keys") and layer in self._layers

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """See Probe."""
        if layer not in self._layers:
            return
        if point == "queries":
            self._queries = array, start
        elif point == "keys" and self._queries is not None:
            self._meet(layer, *self._queries, from_the_first(array, start))
            self._queries = None

    def _meet(self, layer: int, queries: Array, start: int, keys: Array) -> None:
        """Queries that stand at `start`, and all keys so far."""
        self._compute(layer, queries, start, keys)

    def of(self, layer: int) -> Array:
        """The weights of a layer, (heads, positions, keys), float32; 0 where none may look.

        keys are all tokens from the first key up to the last that ran. A row and what goes before
        it sum to 1, less what a sink takes.
        """
        parts = self._parts[layer]
        xp, total = namespace(parts[0]), max(part.shape[-1] for part in parts)
        missing = [(*part.shape[:-1], total - part.shape[-1]) for part in parts]
        whole = [
            xp.concat((part, arrays.zeros(shape, part)), axis=-1)
            for part, shape in zip(parts, missing, strict=True)
        ]
        return xp.concat(whole, axis=1)

    def before(self, layer: int) -> Array:
        """What goes to tokens before the first key, (heads, positions)."""
        sums = self._sums[layer]
        return namespace(sums[0]).concat(sums, axis=1)

    def _compute(
        self, layer: int, queries: Array, start: int, keys: Array, lengths: Array | None = None
    ) -> None:
        """lengths: what the weights are multiplied by, (heads, keys), None for nothing."""
        spec, xp = self._spec, namespace(queries)
        first = max(self.positions.start - start, 0)
        end = min(self.positions.stop - start, queries.shape[2])
        if first >= end:
            return
        bias = distances(spec, layer, range(start + first, start + end), keys.shape[2])
        # Rounded as the pass has them.
        bias = xp.asarray(bias, dtype=queries.dtype, device=queries.device)
        found = weights(
            queries[:, :, first:end],
            keys,
            bias,
            keys.shape[-1] ** -0.5 if spec.attention_scale is None else spec.attention_scale,
            softcap=spec.attention_softcap,
            sinks=self._runner.sinks(layer),
        )
        if lengths is not None:
            found = found * lengths[:, None]
        # Copied, so that the rest of a long row is let go.
        part = xp.asarray(found[0, :, :, self._first_key :], copy=True)
        self._parts.setdefault(layer, []).append(part)
        before = xp.sum(found[0, :, :, : self._first_key], axis=-1)
        self._sums.setdefault(layer, []).append(before)


def from_the_first(array: Array, start: int) -> Array:
    """Keys or values (b, heads, n, features) of a layer that has them from a position on.

    Zeros for those before it, which nobody sees any more: (b, heads, start + n, features).
    """
    if start == 0:
        return array
    missing = arrays.zeros((*array.shape[:2], start, array.shape[3]), array)
    return namespace(array).concat((missing, array), axis=2)


def distances(spec: ModelSpec, layer: int, positions: range, total: int) -> Floats:
    """What a layer adds to the scores of queries at `positions`, (heads or 1, positions, total).

    0, or where attention is linearly biased (ALiBi) what a key loses by its distance; -inf where
    a query may not look.
    """
    away = np.arange(total) - np.arange(positions.start, positions.stop)[:, None]
    seen = away <= 0
    window, chunk = spec.each_layer[layer].window, spec.each_layer[layer].chunk
    if window is not None:
        seen &= away > -window
    if chunk is not None:
        at = np.arange(positions.start, positions.stop)[:, None]
        seen &= -away <= at % chunk
    bias = np.zeros((1, *away.shape), np.float32)
    if spec.alibi is not None:
        steep = slopes(spec.shapes[layer].heads) * np.float32(spec.alibi)
        bias = steep[:, None, None] * away.astype(np.float32)
    return np.where(seen, bias, np.float32(-np.inf))


def weights(
    q: Array,
    keys: Array,
    bias: Array,
    scale: float,
    *,
    softcap: float | None = None,
    sinks: Array | None = None,
) -> Array:
    """softmax(q kᵀ · scale) in float32: (b, h, t, d), (b, kv_heads, total, d) → (b, h, t, total).

    bias, (h or 1, t, total), is added to the scores; softcap and sinks, (h,), are as in
    `attend_written_out`.
    """
    xp = namespace(q)
    b, heads, time, d = q.shape
    # A group's queries stand in the time axis.
    folded = xp.reshape(arrays.float32(q), (b, keys.shape[1], -1, d))
    scores = xp.matmul(folded, xp.matrix_transpose(arrays.float32(keys)))
    scores = xp.reshape(scores, (b, heads, time, -1)) * scale
    if softcap is not None:
        scores = softcap * xp.tanh(scores / softcap)
    scores = scores + arrays.float32(bias)
    if sinks is not None:
        sink = xp.reshape(arrays.float32(sinks), (1, heads, 1, 1))
        scores = xp.concat((scores, xp.broadcast_to(sink, (b, heads, time, 1))), axis=-1)
    return arrays.softmax(scores)[..., : keys.shape[2]]
