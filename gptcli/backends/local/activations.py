"""The numbers of a text inside the model, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gptcli.backends.local import memory
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token
from gptcli.errors import NonFiniteError, UsageError
from gptcli.types.activations import ActivationRows, ActivationsRequest, At

if TYPE_CHECKING:
    from gptcli.engine.points import Point


def answer(model: OpenModel, request: ActivationsRequest) -> Iterator[ActivationRows]:
    """The rows of a text.

    Raises UsageError for a layer that has no such point, the errors of `encode`, ResourceError, and
    NonFiniteError where a number is none.
    """
    import numpy as np

    from gptcli.engine.probes.activations import activations

    layers = layers_of(model, request.at, request.layers)
    ids = model.encode(request.text, special=request.special, subject=request.subject)
    check_room(
        model, len(layers) * numbers_of(model, request.at, layers), len(ids), request.subject
    )
    width, source = numbers_of(model, request.at, layers), model.source
    notices = () if request.special else tuple(plain_control_token(model.tokenizer, request.text))
    first = len(ids) - 1 if request.pool == "last" else 0
    total, done = np.zeros((len(layers), width)), first
    for part in activations(model.runner, ids, point_of(request.at), layers, first=first):
        if not np.isfinite(part).all():
            raise NonFiniteError(
                model.name, f"has NaN or infinite numbers inside, at {request.subject}"
            )
        if request.pool == "mean":
            total += part.sum(0, dtype=np.float64)
            continue
        own = ids if request.pool == "last" else ids[done : done + len(part)]
        values = part.astype("<f4", copy=False).tobytes()
        yield ActivationRows(source, layers, width, tuple(own), len(part), values, notices)
        notices, done = (), done + len(part)
    if request.pool == "mean":
        values = (total / len(ids)).astype("<f4").tobytes()
        yield ActivationRows(source, layers, width, tuple(ids), 1, values, notices)


def layers_of(model: OpenModel, at: At, wanted: tuple[int, ...] | None) -> tuple[int, ...]:
    """The layers that are looked at. Raises UsageError for one that has no such point."""
    from gptcli.engine.probes.activations import layers_with

    point, count = point_of(at), model.runner.spec.layers
    there = layers_with(model.runner.spec, point)
    if at == "embedding" and wanted is not None:
        raise UsageError("--layers", "is about layers, and the embedding comes before all of them")
    for layer in wanted or ():
        if layer >= count:
            raise UsageError("--layers", f"must be from 0 to {count - 1}, not {layer}")
        if layer not in there:
            raise UsageError("--layers", f"layer {layer} has no {at}")
    return there if wanted is None else wanted


def point_of(at: At) -> Point:
    """The point of the pass that --at names."""
    return "heads" if at == "head" else at


def numbers_of(model: OpenModel, at: At, layers: Sequence[int]) -> int:
    """How many numbers the layers have there. Raises UsageError where they have not as many."""
    from gptcli.engine.points import features

    counts = {layer: features(point_of(at), model.runner.spec, layer) for layer in layers}
    if not counts:
        raise UsageError("--at", f"no layer has a {at}")
    other = next((layer for layer in counts if counts[layer] != counts[layers[0]]), None)
    if other is not None:
        reason = f"layer {layers[0]} has {counts[layers[0]]} numbers there, layer {other} has"
        raise UsageError("--layers", f"{reason} {counts[other]}: each needs a file of its own")
    return counts[layers[0]]


def check_room(model: OpenModel, numbers: int, tokens: int, subject: str) -> None:
    """Raise ResourceError where a part of a text, of so many numbers a token, and its keys and
    values do not fit.
    """
    from gptcli.engine.runner import CHUNK

    runner = model.runner
    needed = min(tokens, CHUNK) * numbers * 4
    needed += runner.spec.cache_bytes(tokens, runner.facts.itemsize, 1)
    memory.check(subject, "its activations need", needed, runner.facts.device)
