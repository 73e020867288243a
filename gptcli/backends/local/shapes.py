"""What the model is made of, and which tensors a prompt makes on its way through it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gptcli.backends.local.looking import looked_at
from gptcli.backends.local.open_model import OpenModel
from gptcli.engine.model.mixers import Recurrence
from gptcli.types.shapes import Flow, Part, Shapes, ShapesRequest
from gptcli.types.window import Window

if TYPE_CHECKING:
    from gptcli.engine.model.spec import ModelSpec


#: What layers make, as it is told.
_ORDER = (
    *("queries", "keys", "values", "weights", "attention"),
    *("memories", "inputs", "mixer", "hidden", "mlp"),
)


def answer(model: OpenModel, request: ShapesRequest) -> Shapes:
    """The model's tensors, and those that a prompt makes on its way."""
    from gptcli.engine.probes.parameters import parts

    runner = model.runner
    looked = looked_at(model, request.prompt, Window(0), special=request.special)
    found = tuple(
        Part(each.name, each.shape, each.layers, each.times, each.parameters)
        for each in parts(runner.shapes())
    )
    return Shapes(
        source=model.source,
        prompt_tokens=len(looked.ids),
        layers=runner.spec.layers,
        parts=found,
        flow=tuple(_flow(model, len(looked.ids))),
        parameters=sum(each.parameters for each in found),
        tied=runner.spec.tied,
        notices=looked.notices,
    )


def _flow(model: OpenModel, tokens: int) -> Iterator[Flow]:
    """The tensors of one forward pass over the prompt, without the batch, in their order.

    Layers that make the same are told of together; a layer with a state makes no attention weights.
    """
    spec = model.runner.spec
    yield Flow("ids", (tokens,))
    yield Flow("stream", (tokens, spec.width))
    made: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for layer in range(spec.layers):
        for each in _of_layer(spec, layer, tokens):
            made.setdefault(each, []).append(layer)
    for (name, shape), layers in sorted(made.items(), key=lambda each: _ORDER.index(each[0][0])):
        yield Flow(name, shape, tuple(layers))
    yield Flow("last", (spec.width,))
    yield Flow("logits", (spec.vocab,))


def _of_layer(spec: ModelSpec, layer: int, tokens: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    this, shape = spec.each_layer[layer], spec.shapes[layer]
    if this.attends:
        yield "queries", (shape.heads, tokens, shape.head_dim)
        yield "keys", (shape.kv_heads, tokens, shape.head_dim)
        values = shape.head_dim if spec.latents is None else spec.latents.rank
        yield "values", (shape.kv_heads, tokens, values)
        yield "weights", (shape.heads, tokens, tokens)
        yield "attention", (tokens, spec.width)
    if isinstance(this.mixer, Recurrence):
        yield "memories", (this.mixer.heads, this.mixer.key_dim, this.mixer.value_dim)
    if this.mixer is not None:
        yield "inputs", (this.mixer.taps - 1, sum(this.mixer.filtered))
        yield "mixer", (tokens, spec.width)
    if this.thinks:
        experts = spec.experts if this.mixture else None
        yield "hidden", (tokens, shape.hidden if experts is None else experts.hidden)
        yield "mlp", (tokens, spec.width)
