"""Each part of the model switched off by itself, and what follows the prompt then."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gptcli.backends.local.looking import check_layer, check_rows
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import ContextError
from gptcli.types.explain import BlockName
from gptcli.types.parts_off import MOST_TOKENS, PartOff, PartsOffRequest

if TYPE_CHECKING:
    from gptcli.engine.model.spec import ModelSpec
    from gptcli.engine.points import Point


def answer(model: OpenModel, request: PartsOffRequest) -> Iterator[PartOff]:
    """They come as soon as they are known.

    Raises ContextError for more than MOST_TOKENS, UsageError for a layer that is not there, and
    NonFiniteError.
    """
    from gptcli.engine.arrays import softmax
    from gptcli.engine.asking.sampling import check_finite, likeliest
    from gptcli.engine.edits import Edit
    from gptcli.engine.probes.each_edit import logits_with

    spec = model.runner.spec
    check_rows(model, request.rows)
    for layer in request.layers or ():
        check_layer(model, layer, "--layers")
    model.check_vocabulary([*request.follow, *request.drawn], "a token")
    ids = [*model.encode(request.prompt, special=request.special), *request.drawn]
    if len(ids) > MOST_TOKENS:
        reason = f"has {len(ids)} tokens, and parts are switched off for at most {MOST_TOKENS}"
        raise ContextError("prompt", reason)
    layers = range(spec.layers) if request.layers is None else request.layers
    parts = [part for layer in layers for part in _parts(spec, layer)]
    edits = [Edit(point, layer, factor=0.0) for layer, _, point in parts]
    names = iter(parts)
    for logits in logits_with(model.runner, ids, edits):
        check_finite(logits)
        chances = softmax(logits)
        best = likeliest(logits, request.rows)[1].tolist()
        for row, (tokens, (layer, name, _)) in enumerate(zip(best, names, strict=False)):
            shown = chances[row]
            says = tuple((model.token(token), float(shown[token])) for token in tokens)
            followed = tuple(float(shown[token]) for token in request.follow)
            yield PartOff(layer, name, says, followed)


def _parts(spec: ModelSpec, layer: int) -> Iterator[tuple[int, BlockName, Point]]:
    """The blocks of a layer in their order, and the points at which they add to the stream."""
    from gptcli.engine.points import is_there

    mixes: BlockName = "attention" if spec.each_layer[layer].attends else "state"
    blocks: tuple[tuple[BlockName, Point], ...] = (
        (mixes, "attention"),
        ("mlp", "mlp"),
        ("told", "told"),
    )
    for name, point in blocks:
        if is_there(point, spec, layer):
            yield layer, name, point
