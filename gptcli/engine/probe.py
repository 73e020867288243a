"""What looks on while a model runs."""

from __future__ import annotations

from typing import Literal, Protocol

from gptcli.engine.arrays import Array

#: What is shown, in the order of the forward pass, t being the tokens that run:
#: "embedding" (layer -1), the stream before the first layer, (1, t, width); then for each layer
#: "queries" (1, heads, t, head_dim) and all "keys" so far (1, kv_heads, total, head_dim), as they
#: meet, RoPE behind them; in a layer with a mixer in their place "state", how long its state is
#: behind each token, (1, t, memories): the Frobenius norm of each memory, or of the inputs that a
#: short convolution has still to see; "attention", also a mixer's, "mlp" and, where layers are told
#: of their token, "told", the updates as they are added to the stream, and "stream", what it is
#: after them and the layer's scale, (1, t, width) each.
Point = Literal["embedding", "queries", "keys", "state", "attention", "mlp", "told", "stream"]


class Probe(Protocol):
    """Looks on while one row runs. It must not change an array, and copies what it keeps."""

    @property
    def positions(self) -> range:
        """Those of the row that it wants to see; of keys, all before them too."""
        ...

    def wants(self, point: Point, layer: int) -> bool:
        """Whether it has a use for this."""
        ...

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """Be shown an array, whose first token stands at position `start`.

        It may be shown more points and positions than it wants.
        """
        ...


class Together:
    """One probe that is several."""

    def __init__(self, *probes: Probe) -> None:
        self._probes = probes

    @property
    def positions(self) -> range:
        """See Probe."""
        every = [probe.positions for probe in self._probes]
        return range(min(each.start for each in every), max(each.stop for each in every))

    def wants(self, point: Point, layer: int) -> bool:
        """See Probe."""
        return any(probe.wants(point, layer) for probe in self._probes)

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """See Probe."""
        for probe in self._probes:
            probe(point, layer, array, start)
