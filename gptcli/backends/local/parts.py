"""What each part of the model adds to a token's logit."""

from __future__ import annotations

import math

from gptcli.backends.local.looking import looked_at, one_token
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import InputError, UsageError
from gptcli.types.parts import AddedPart, LogitParts, PartsRequest
from gptcli.types.window import Window


def answer(model: OpenModel, request: PartsRequest) -> LogitParts:
    """The parts of a logit, or of the difference of two.

    Raises InputError for a text that is not one token, UsageError for a position that is not
    there, and NonFiniteError.
    """
    from gptcli.engine.arrays import logsumexp
    from gptcli.engine.asking.sampling import check_finite, likeliest
    from gptcli.engine.probes.parts import parts_of
    from gptcli.engine.probes.streams import Streams

    runner, spec = model.runner, model.runner.spec
    target = (
        None
        if request.target is None
        else one_token(model, request.target, "--target", "has a logit")
    )
    versus = (
        None
        if request.versus is None
        else one_token(model, request.versus, "--versus", "has a logit")
    )
    looked = looked_at(model, request.prompt, Window(0), special=request.special)
    count = len(looked.ids)
    if not -count <= request.position < count:
        raise UsageError("--position", f"{request.position} is not among the {count} positions")
    end = request.position % count + 1
    streams = Streams(range(end - 1, end), heads=request.by == "head")
    logits = runner.prefill([looked.ids[:end]], runner.new_state(), probe=streams)
    check_finite(logits)
    if target is None:
        target = int(likeliest(logits, 1)[1][0, 0])
    if target == versus:
        reason = "is the target, too: their logits are no different"
        raise InputError("--versus", reason, "--target names another token")
    tokens = [target] if versus is None else [target, versus]
    own = [float(logits[0, token]) for token in tokens]
    total = float(logsumexp(logits)[0])
    found = parts_of(runner, streams, target, versus, by=request.by)
    return LogitParts(
        request=request,
        source=model.source,
        tokens=looked.tokens[:end],
        prompt_tokens=count,
        layers=spec.layers,
        target=model.token(target),
        versus=None if versus is None else model.token(versus),
        logit=found.logit,
        said=own[0] - sum(own[1:]),
        softcap=spec.final_softcap,
        chances=tuple(math.exp(each - total) for each in own),
        parts=tuple(
            AddedPart(each.name, None if each.layer < 0 else each.layer, each.head, each.adds)
            for each in found.parts
        ),
        notices=looked.notices,
    )
