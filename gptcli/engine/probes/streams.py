"""The residual stream on its way: the embedding, and what each block adds to it."""

from __future__ import annotations

from gptcli.engine.arrays import Array, float32, namespace
from gptcli.engine.points import Point
from gptcli.engine.runner import Runner

_POINTS = frozenset({"embedding", "attention", "mlp", "told", "stream"})
_WITH_HEADS = _POINTS | {"heads"}


class Streams:
    """A probe that keeps the stream and its updates at some positions of one row.

    Arrays keep the dtype of the pass, in which read-outs are what the model says. heads: what
    output projections read is kept, too.
    """

    def __init__(self, positions: range, *, heads: bool = False) -> None:
        self.positions = positions
        self._points = _WITH_HEADS if heads else _POINTS
        self._parts: dict[tuple[str, int], list[Array]] = {}

    def wants(self, point: Point, layer: int) -> bool:
        """See Probe."""
        return point in self._points

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """See Probe."""
        first = max(self.positions.start - start, 0)
        end = min(self.positions.stop - start, array.shape[1])
        if point in self._points and first < end:
            part = namespace(array).asarray(array[0, first:end], copy=True)
            self._parts.setdefault((point, layer), []).append(part)

    @property
    def embedding(self) -> Array:
        """The stream before the first layer, (positions, width)."""
        return self._of("embedding", -1)

    def heads(self, layer: int) -> Array | None:
        """What the layer's output projection read, (positions, heads · size)."""
        return self._of("heads", layer) if ("heads", layer) in self._parts else None

    def attention(self, layer: int) -> Array | None:
        """What the layer's attention added, or what is in its place, (positions, width)."""
        return self._of("attention", layer) if ("attention", layer) in self._parts else None

    def mlp(self, layer: int) -> Array | None:
        """What the layer's MLP added, (positions, width)."""
        return self._of("mlp", layer) if ("mlp", layer) in self._parts else None

    def told(self, layer: int) -> Array | None:
        """What the layer added of what it is told of the token, (positions, width)."""
        return self._of("told", layer) if ("told", layer) in self._parts else None

    def after(self, layer: int) -> Array:
        """The stream after a layer, (positions, width); -1 is before the first."""
        return self.embedding if layer < 0 else self._of("stream", layer)

    def before_mlp(self, layer: int) -> Array:
        """The stream with the attention's update and without the MLP's, (positions, width)."""
        update = self.attention(layer)
        return self.after(layer - 1) if update is None else self.after(layer - 1) + update

    def behind_mlp(self, layer: int) -> Array:
        """The stream with the MLP's update too, and before all that comes behind it."""
        update = self.mlp(layer)
        return self.before_mlp(layer) if update is None else self.before_mlp(layer) + update

    def added_up(self, runner: Runner) -> Array:
        """The embedding and all updates, in float32: the stream after the last layer, otherwise."""
        total = float32(self.embedding)
        for layer in range(runner.spec.layers):
            for point in ("attention", "mlp", "told"):
                if (point, layer) in self._parts:
                    total = total + float32(self._of(point, layer))
            total = total * runner.layer_scale(layer)
        return total

    def _of(self, point: str, layer: int) -> Array:
        parts = self._parts[point, layer]
        return namespace(parts[0]).concat(parts)
