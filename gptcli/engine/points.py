"""Points of the forward pass at which numbers are shown and changed, and how many there are."""

from __future__ import annotations

from typing import Literal

from gptcli.engine.model.mixers import Recurrence
from gptcli.engine.model.spec import ModelSpec

#: In the order of the forward pass, t being the tokens that run:
#: "embedding" (layer -1), the stream before the first layer, (1, t, width); then for each layer
#: "queries" (1, heads, t, head_dim) and all "keys" so far (1, kv_heads, total, head_dim), as they
#: meet, RoPE behind them, and all "values", of the same shape, but where keys are latents that
#: values are made of; in a layer with a mixer in their place "state", how long its state is behind
#: each token, (1, t, memories): the Frobenius norm of each memory, or of the inputs that a short
#: convolution has still to see; "heads", what attention's heads have gathered, one after another,
#: or what a mixer in its place has made, as the output projection reads it, (1, t, heads · size);
#: "attention", also a mixer's, what is added to the stream, (1, t, width); in a layer with a
#: mixture "shares", what the word of each expert is multiplied by, (1, t, experts), 0 of those not
#: chosen; "mlp" and, where layers are told of their token, "told", the updates as they are added to
#: the stream, and "stream", what it is after them and the layer's scale, (1, t, width).
Point = Literal[
    "embedding",
    "queries",
    "keys",
    "values",
    "state",
    "heads",
    "attention",
    "shares",
    "mlp",
    "told",
    "stream",
]
#: Those whose numbers an edit can change.
EDITED: tuple[Point, ...] = ("embedding", "heads", "attention", "shares", "mlp", "told", "stream")


def is_there(point: Point, spec: ModelSpec, layer: int) -> bool:
    """Whether a layer, -1 before the first, has such a point."""
    if layer < 0 or point == "embedding":
        return layer < 0 and point == "embedding"
    this = spec.each_layer[layer]
    match point:
        case "told":
            return spec.layer_inputs is not None
        case "queries" | "keys":
            return this.attends
        case "values":
            return this.attends and spec.latents is None
        case "state":
            return this.mixer is not None
        case "heads" | "attention":
            return this.mixes
        case "mlp":
            return this.thinks
        case "shares":
            return this.thinks and this.mixture and spec.experts is not None
    return True


def heads_of(spec: ModelSpec, layer: int) -> tuple[int, int]:
    """How many heads a layer's output projection reads, and features of each.

    Those of attention, or of a mixer in its place: a short convolution is one.
    """
    this = spec.each_layer[layer]
    if this.attends:
        shape = spec.shapes[layer]
        return shape.heads, spec.gathered(shape) // shape.heads
    if isinstance(this.mixer, Recurrence):
        return this.mixer.heads, this.mixer.value_dim
    return (0, 0) if this.mixer is None else (1, this.mixer.inner)


def features(point: Point, spec: ModelSpec, layer: int) -> int:
    """How many numbers an edited point has of each token."""
    if point == "heads":
        count, size = heads_of(spec, layer)
        return count * size
    if point == "shares":
        return 0 if spec.experts is None else spec.experts.count
    return spec.width
