"""The residual stream on its way: the embedding, and what each block adds to it."""

from __future__ import annotations

import torch
from torch import Tensor

_POINTS = frozenset({"embedding", "attention", "mlp", "stream"})


class Streams:
    """A probe that keeps the stream and its updates at some positions of one row.

    positions: which, counted from the row's beginning; start: how many tokens the KV cache holds
    before the pass. Tensors keep the model's dtype, in which read-outs are what the model says.
    """

    def __init__(self, positions: range, start: int = 0) -> None:
        self.positions = positions
        self._start = self._end = start
        self._parts: dict[tuple[str, int], list[Tensor]] = {}

    def __call__(self, point: str, layer: int, tensor: Tensor) -> None:
        """See `layers.Probe`."""
        if point not in _POINTS:
            return
        if point == "embedding":
            self._start, self._end = self._end, self._end + tensor.size(1)
        first = max(self.positions.start, self._start)
        end = min(self.positions.stop, self._end)
        if first < end:
            part = tensor[0, first - self._start : end - self._start].clone()
            self._parts.setdefault((point, layer), []).append(part)

    @property
    def embedding(self) -> Tensor:
        """The stream before the first layer, (positions, width)."""
        return self._of("embedding", -1)

    def attention(self, layer: int) -> Tensor:
        """What the layer's attention added, (positions, width)."""
        return self._of("attention", layer)

    def mlp(self, layer: int) -> Tensor:
        """What the layer's MLP added, (positions, width)."""
        return self._of("mlp", layer)

    def after(self, layer: int) -> Tensor:
        """The stream after a layer, (positions, width); -1 is before the first."""
        return self.embedding if layer < 0 else self._of("stream", layer)

    def before_mlp(self, layer: int) -> Tensor:
        """The stream with the attention's update and without the MLP's, (positions, width)."""
        return self.after(layer - 1) + self.attention(layer)

    def _of(self, point: str, layer: int) -> Tensor:
        return torch.cat(self._parts[point, layer])
