"""What control vectors say through the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptcli.backends.local.looking import check_rows
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import ModelError
from gptcli.types.steering import DirectionRead, SteeringRead, SteeringReadRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gptcli.engine.arrays import Array


def answer(model: OpenModel, request: SteeringReadRequest) -> SteeringRead:
    """What directions say through final norm and head, and what their opposites say.

    Raises UsageError for more rows than there are tokens, ModelError for directions of a model of
    another width, NonFiniteError.
    """
    import numpy as np

    from gptcli.engine.probes.readout import read_out

    runner = model.runner
    check_rows(model, request.rows)
    width = len(request.directions[0].vector)
    if width != runner.spec.width:
        reason = f"are of {width} numbers, and the stream of {model.name} has {runner.spec.width}"
        raise ModelError("directions", reason, "-m names the model that they were made of")
    vectors = np.array([each.vector for each in request.directions], np.float32)
    streams = _as_streams(model, np.concatenate([vectors, -vectors]))
    found = read_out(runner, streams, request.rows)
    says = [
        tuple(zip(map(model.token, ids), chances, strict=True))
        for ids, chances in zip(found.ids.tolist(), found.probabilities.tolist(), strict=True)
    ]
    count = len(request.directions)
    return SteeringRead(
        model.source,
        tuple(
            DirectionRead(each.layer, float(np.linalg.norm(vector)), towards, away)
            for each, vector, towards, away in zip(
                request.directions, vectors, says[:count], says[count:], strict=True
            )
        ),
    )


def _as_streams(model: OpenModel, vectors: NDArray[np.float32]) -> Array:
    """Vectors as streams of the pass: of a length that none is too short for the norm's epsilon."""
    import numpy as np

    from gptcli.engine.arrays import namespace
    from gptcli.engine.probes.last_stream import LastStream

    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled = vectors / np.where(lengths, lengths, 1) * np.sqrt(vectors.shape[-1], dtype=np.float32)
    # Any stream tells in which library, where and in which dtype they are computed.
    runner = model.runner
    last = LastStream(range(1), runner.spec.layers)
    runner.prefill([[0]], runner.new_state(), probe=last)
    like = last.found
    return namespace(like).asarray(scaled, dtype=like.dtype, device=like.device)
