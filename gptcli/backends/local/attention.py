"""Who looks at whom: attention weights of a prompt, head by head or taken together.

Of layers that carry a state in place of attention, how long that is behind each token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptcli.backends.local.looking import check_layer, looked_at
from gptcli.backends.local.open_model import OpenModel
from gptcli.engine.model.mixers import Mixer, ShortConv, memories
from gptcli.errors import UsageError
from gptcli.types.attention import (
    MAX_WEIGHTS,
    Attention,
    AttentionMap,
    AttentionRequest,
    CarriedState,
    Carries,
)

if TYPE_CHECKING:
    from gptcli.engine.arrays import Array


def answer(model: OpenModel, request: AttentionRequest) -> Attention:
    """Attention weights.

    Raises UsageError for a layer, head or window that is not there, or for too many weights, and
    NonFiniteError.
    """
    from gptcli.engine.asking.sampling import check_finite
    from gptcli.engine.probe import Together
    from gptcli.engine.probes.attention import AttentionWeights
    from gptcli.engine.probes.state_lengths import StateLengths
    from gptcli.engine.probes.value_weights import ValueWeights, has_lengths

    runner, spec = model.runner, model.runner.spec
    check_layer(model, request.layer)
    wanted = range(spec.layers) if request.layer is None else (request.layer,)
    layers = [layer for layer in wanted if spec.each_layer[layer].attends]
    mixers = {at: mixer for at in wanted if (mixer := spec.each_layer[at].mixer) is not None}
    if not layers and not mixers:
        raise UsageError("--layer", f"{request.layer} is of one token alone: it has no attention")
    valued = request.weigh == "values"
    if valued and layers and not has_lengths(spec):
        reason = "values: a gate has each token that looks take another part of a value"
        raise UsageError("--weigh", f"{reason}, in the attention of this model")
    parts = spec.heads if layers else memories(next(iter(mixers.values())))
    if request.head is not None and not 0 <= request.head < parts:
        raise UsageError("--head", f"must be from 0 to {parts - 1}, not {request.head}")
    looked = looked_at(model, request.prompt, request.window, special=request.special)
    heads = range(spec.heads) if request.head is None else (request.head,)
    places = len(looked.positions)
    count = places * (places * len(layers) * len(heads) + sum(map(memories, mixers.values())))
    if count > MAX_WEIGHTS:
        raise UsageError(
            "--window",
            f"would give {count:,} weights, and {MAX_WEIGHTS:,} are allowed",
            "--layer and --head choose fewer",
        )
    # What comes after the window cannot be seen from it, and is not run.
    ids = looked.ids[: looked.positions.stop]
    first = looked.positions.start
    seen = (ValueWeights if valued else AttentionWeights)(
        runner, looked.positions, layers, first_key=first
    )
    carried = StateLengths(spec, looked.positions, mixers)
    # Weights alone would not tell: NaN may come in a later layer, and a map of NaN is no answer.
    probe = Together(seen, carried)
    check_finite(runner.prefill([ids], runner.new_state(), probe=probe))
    chosen = [
        (layer, seen.of(layer)[list(heads)], seen.before(layer)[list(heads)]) for layer in layers
    ]
    if request.over is None:
        maps = tuple(
            _map(request, layer, head, *rows)
            for layer, weights, before in chosen
            for head, *rows in zip(heads, weights, before, strict=True)
        )
    else:
        maps = (_together(request, chosen),) if chosen else ()
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
        attending=spec.attending,
        maps=maps,
        states=tuple(_state(request, at, mixers[at], carried.of(at)) for at in mixers),
        notices=looked.notices,
    )


def carries(mixer: Mixer) -> Carries:
    """What kind of state it has."""
    return "convolution" if isinstance(mixer, ShortConv) else mixer.rule


def _state(request: AttentionRequest, layer: int, mixer: Mixer, lengths: Array) -> CarriedState:
    """lengths: (positions, memories). A head that was asked of all layers is one of attention."""
    which: tuple[int | None, ...] = tuple(range(memories(mixer)))
    found = [tuple(row) for row in lengths.tolist()]
    if request.layer is not None and request.head is not None:
        which, found = (request.head,), [(row[request.head],) for row in found]
    elif request.over is not None and len(which) > 1:
        which = (None,)
        found = [(max(row) if request.over == "max" else sum(row) / len(row),) for row in found]
    return CarriedState(layer, carries(mixer), which, tuple(found))


def _together(request: AttentionRequest, chosen: list[tuple[int, Array, Array]]) -> AttentionMap:
    from gptcli.engine.arrays import namespace

    xp = namespace(chosen[0][1])
    weights = xp.concat([each for _, each, _ in chosen])  # (layers · heads, queries, keys)
    before = xp.concat([each for _, _, each in chosen])  # (layers · heads, queries)
    over = xp.mean if request.over == "mean" else xp.max
    return _map(request, request.layer, request.head, over(weights, axis=0), over(before, axis=0))


def _map(
    request: AttentionRequest,
    layer: int | None,
    head: int | None,
    weights: Array,
    before: Array,
) -> AttentionMap:
    """weights: (queries, keys) of the window; before: (queries,)."""
    totals: tuple[float, ...] = ()
    if request.weigh == "values":
        from gptcli.engine.arrays import namespace

        xp = namespace(weights)
        lengths = xp.sum(weights, axis=-1) + before
        totals = tuple(lengths.tolist())
        # Where all values are 0, nothing is shared out.
        lengths = xp.where(lengths > 0, lengths, xp.ones_like(lengths))
        weights, before = weights / lengths[:, None], before / lengths
    rows = tuple(map(tuple, weights.tolist()))
    return AttentionMap(layer, head, rows, tuple(before.tolist()), totals)
