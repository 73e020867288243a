"""What the model is made of, and which tensors a prompt makes on its way through it."""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.backends.local.looking import looked_at
from gptcli.backends.local.open_model import OpenModel
from gptcli.types.shapes import Flow, Part, Shapes, ShapesRequest
from gptcli.types.window import Window


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
    """The tensors of one forward pass over the prompt, without the batch, in their order."""
    spec = model.runner.spec
    yield Flow("ids", (tokens,))
    yield Flow("stream", (tokens, spec.width))
    yield Flow("queries", (spec.heads, tokens, spec.head_dim), each_layer=True)
    yield Flow("keys", (spec.kv_heads, tokens, spec.head_dim), each_layer=True)
    values = spec.head_dim if spec.latents is None else spec.latents.rank
    yield Flow("values", (spec.kv_heads, tokens, values), each_layer=True)
    yield Flow("weights", (spec.heads, tokens, tokens), each_layer=True)
    yield Flow("attention", (tokens, spec.width), each_layer=True)
    hidden = spec.experts.hidden if spec.experts else spec.hidden
    yield Flow("hidden", (tokens, hidden), each_layer=True)
    yield Flow("mlp", (tokens, spec.width), each_layer=True)
    yield Flow("last", (spec.width,))
    yield Flow("logits", (spec.vocab,))
