"""Attention weights times the lengths of what they weigh: α · ‖W v‖ (arXiv:2004.10102).

v is a value and W the columns of the output projection that its head has: a token that is looked
at and gives next to nothing, such as one that takes what nobody needs, does not outshine others.
"""

from __future__ import annotations

from collections.abc import Collection

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.points import Point, heads_of
from gptcli.engine.probes.attention import AttentionWeights, from_the_first
from gptcli.engine.runner import Runner

#: Bytes of an output projection that are held in float32 at once, and positions whose values are.
_BYTES = 1 << 26
_POSITIONS = 256


def has_lengths(spec: ModelSpec) -> bool:
    """Whether what a value gives is the same for all who look at it: a gate makes it differ.

    Behind a norm it is so but for a scale, where that norm takes no mean away.
    """
    straight = spec.norms == "before" or spec.norm.kind == "rmsnorm"
    return spec.attention_gate is None and straight


class ValueWeights(AttentionWeights):
    """See AttentionWeights, whose weights these are, times lengths. For models of `has_lengths`."""

    def __init__(
        self,
        runner: Runner,
        positions: range,
        layers: Collection[int] | None = None,
        *,
        first_key: int = 0,
    ) -> None:
        super().__init__(runner, positions, layers, first_key=first_key)
        self._waiting: tuple[Array, int, Array] | None = None
        self._products: dict[int, Array] = {}

    def wants(self, point: Point, layer: int) -> bool:
        """See Probe."""
        return super().wants(point, layer) or (point == "values" and layer in self._layers)

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """See Probe."""
        super().__call__(point, layer, array, start)
        if point == "values" and layer in self._layers and self._waiting is not None:
            lengths = self._lengths(layer, from_the_first(array, start)[0])
            self._compute(layer, *self._waiting, lengths)
            self._waiting = None

    def _meet(self, layer: int, queries: Array, start: int, keys: Array) -> None:
        if self._spec.latents is None:
            self._waiting = queries, start, keys
        else:
            latents = keys[0, :, :, : self._spec.latents.rank]
            self._compute(layer, queries, start, keys, self._lengths(layer, latents))

    @arrays.quiet
    def _lengths(self, layer: int, kept: Array) -> Array:
        """‖W v‖ of each head, (heads, total), of what is kept of all tokens, (kv_heads, total, …).

        W v is longer than v: lengths are √ vᵀ (Wᵀ W) v.
        """
        if layer not in self._products:
            self._products[layer] = _products(self._runner, layer, kept)
        product, xp = self._products[layer], namespace(kept)
        made = None
        if self._spec.latents is not None:
            made = self._runner.weights(f"layers.{layer}.attention.value.weight")
            made = xp.reshape(made, (product.shape[0], -1, kept.shape[-1]))
        parts = []
        for start in range(0, kept.shape[1], _POSITIONS):
            values = arrays.float32(kept[:, start : start + _POSITIONS])
            if made is not None:
                values = xp.matmul(values, xp.matrix_transpose(made))  # (heads, total, value)
            group = product.shape[0] // values.shape[0]
            each = xp.reshape(product, (-1, group, *product.shape[1:]))
            # (kv_heads, group, total): heads that share values stand together.
            squares = xp.sum(xp.matmul(values[:, None], each) * values[:, None], axis=-1)
            parts.append(xp.reshape(squares, (product.shape[0], -1)))
        return xp.sqrt(xp.clip(xp.concat(parts, axis=-1), 0.0, None))


def _products(runner: Runner, layer: int, like: Array) -> Array:
    """Wᵀ W of each head, (heads, size, size), where W is (width, size).

    A norm behind the projection is in W, but for its scale: that is the same for all that a token
    looks at, and so says nothing of their shares.
    """
    xp, spec = namespace(like), runner.spec
    count, size = heads_of(spec, layer)
    at, width = f"layers.{layer}.attention", spec.width
    step = max(_BYTES // (4 * count * size), 1)
    spans = [range(start, min(start + step, width)) for start in range(0, width, step)]
    gain = runner.weights(f"{at}_post_norm.weight")
    total = None
    for rows in spans:
        part = runner.weights(f"{at}.out.weight", rows)
        part = part if gain is None else part * xp.reshape(gain, (-1, 1))[rows.start : rows.stop]
        by_head = xp.permute_dims(xp.reshape(part, (len(rows), count, size)), (1, 0, 2))
        found = xp.matmul(xp.matrix_transpose(by_head), by_head)
        total = found if total is None else total + found
    return total
