"""Who looks at whom: attention weights of a prompt, head by head or taken together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptcli.backends.local.looking import check_layer, looked_at
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import UsageError
from gptcli.types.attention import MAX_WEIGHTS, Attention, AttentionMap, AttentionRequest

if TYPE_CHECKING:
    from gptcli.engine.arrays import Array


def answer(model: OpenModel, request: AttentionRequest) -> Attention:
    """Attention weights.

    Raises UsageError for a layer, head or window that is not there, or for too many weights, and
    NonFiniteError.
    """
    from gptcli.engine.asking.sampling import check_finite
    from gptcli.engine.probes.attention import AttentionWeights

    runner, spec = model.runner, model.runner.spec
    check_layer(model, request.layer)
    if request.head is not None and not 0 <= request.head < spec.heads:
        raise UsageError("--head", f"must be from 0 to {spec.heads - 1}, not {request.head}")
    looked = looked_at(model, request.prompt, request.window, special=request.special)
    layers = spec.attending if request.layer is None else (request.layer,)
    if request.layer is not None and request.layer not in spec.attending:
        having = ", ".join(map(str, spec.attending)) or "none"
        reason = f"{request.layer} has no attention, but a state that goes from token to token"
        raise UsageError("--layer", reason, f"layers with attention: {having}")
    heads = range(spec.heads) if request.head is None else (request.head,)
    count = len(looked.positions) ** 2 * len(layers) * len(heads)
    if count > MAX_WEIGHTS:
        raise UsageError(
            "--window",
            f"would give {count:,} weights, and {MAX_WEIGHTS:,} are allowed",
            "--layer and --head choose fewer",
        )
    # What comes after the window cannot be seen from it, and is not run.
    ids = looked.ids[: looked.positions.stop]
    first = looked.positions.start
    seen = AttentionWeights(runner, looked.positions, layers, first_key=first)
    # Weights alone would not tell: NaN may come in a later layer, and a map of NaN is no answer.
    check_finite(runner.prefill([ids], runner.new_state(), probe=seen))
    chosen = [
        (layer, seen.of(layer)[list(heads)], seen.before(layer)[list(heads)]) for layer in layers
    ]
    if request.over is None:
        maps = tuple(
            _map(layer, head, *rows)
            for layer, weights, before in chosen
            for head, *rows in zip(heads, weights, before, strict=True)
        )
    else:
        maps = (_together(request, chosen),)
    return Attention(
        request=request,
        source=model.source,
        tokens=looked.tokens,
        first=first,
        prompt_tokens=len(looked.ids),
        layers=spec.layers,
        heads=spec.heads,
        group=spec.group,
        windows=tuple(each.window for each in spec.each_layer),
        sinks=spec.sinks,
        maps=maps,
        notices=looked.notices,
    )


def _together(request: AttentionRequest, chosen: list[tuple[int, Array, Array]]) -> AttentionMap:
    from gptcli.engine.arrays import namespace

    xp = namespace(chosen[0][1])
    weights = xp.concat([each for _, each, _ in chosen])  # (layers · heads, queries, keys)
    before = xp.concat([each for _, _, each in chosen])  # (layers · heads, queries)
    over = xp.mean if request.over == "mean" else xp.max
    return _map(request.layer, request.head, over(weights, axis=0), over(before, axis=0))


def _map(layer: int | None, head: int | None, weights: Array, before: Array) -> AttentionMap:
    """weights: (queries, keys) of the window; before: (queries,)."""
    rows = tuple(map(tuple, weights.tolist()))
    return AttentionMap(layer, head, rows, tuple(before.tolist()))
