"""The logit lens: the stream read out after every layer."""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.backends.local.looking import check_rows, looked_at, one_token
from gptcli.backends.local.open_model import OpenModel
from gptcli.types.lens import Lens, LensRequest, Ranked, Reading


def answer(model: OpenModel, request: LensRequest) -> Lens:
    """What the stream would say after every layer.

    Raises InputError for a text to track that is not one token, NonFiniteError.
    """
    from gptcli.engine.arrays import namespace
    from gptcli.engine.probes.readout import read_out
    from gptcli.engine.probes.streams import Streams

    runner, layers = model.runner, model.runner.spec.layers
    check_rows(model, request.rows)
    tracked = (
        None
        if request.track is None
        else one_token(model, request.track, "--track", "can be tracked")
    )
    looked = looked_at(model, request.prompt, request.window, special=request.special)
    streams = Streams(looked.positions)
    # What comes after the window changes nothing in it, and is not run.
    runner.prefill([looked.ids[: looked.positions.stop]], runner.new_state(), probe=streams)
    answers = read_out(runner, streams.after(layers - 1), 1).ids  # (positions, 1)
    xp, wanted = namespace(answers), answers
    if tracked is not None:
        wanted = xp.concat((answers, xp.full_like(answers, tracked)), axis=-1)
    # All layers at once: one large product with the head instead of many small ones.
    every = [streams.after(layer) for layer in range(-1, layers)]
    found = read_out(runner, xp.concat(every), request.rows, xp.concat([wanted for _ in every]))
    readings = [
        Reading(
            tuple(zip(map(model.token, ids), probabilities, strict=True)),
            *(Ranked(*each) for each in zip(ranks, chances, strict=True)),
        )
        for ids, probabilities, ranks, chances in zip(
            found.ids.tolist(),
            found.probabilities.tolist(),
            found.ranks.tolist(),
            found.chances.tolist(),
            strict=True,
        )
    ]
    width = len(looked.positions)
    grid = [tuple(readings[start : start + width]) for start in range(0, len(readings), width)]
    return Lens(
        request=request,
        source=model.source,
        tokens=looked.tokens,
        first=looked.positions.start,
        prompt_tokens=len(looked.ids),
        layers=layers,
        grid=tuple(grid),
        answers=tuple(model.token(token) for (token,) in answers.tolist()),
        settled=tuple(map(_settled, zip(*grid, strict=True))),
        tracked=None if tracked is None else model.token(tracked),
        notices=looked.notices,
    )


def _settled(column: Sequence[Reading]) -> int:
    """The layer after which the last layer's answer first is rank 1; -1 is the embedding."""
    return next(layer for layer, each in enumerate(column, -1) if each.answer.rank == 1)
