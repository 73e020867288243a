"""A text as one vector: what the head would read, of all its tokens or of the last."""

from __future__ import annotations

from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import InputError, NonFiniteError
from gptcli.types.embedding import Embedding, EmbeddingRequest


def answer(model: OpenModel, request: EmbeddingRequest) -> Embedding:
    """The embedding.

    Raises InputError for an empty text, for ids that are no tokens and for more dimensions than
    there are; ContextError; NonFiniteError.
    """
    import numpy as np

    from gptcli.engine import arrays
    from gptcli.engine.probes.last_stream import LastStream

    runner = model.runner
    ids = _ids(model, request)
    width = runner.spec.width
    wanted = request.dimensions or width
    if wanted > width:
        raise InputError("dimensions", f"{wanted} are more than the model's {width}")
    last = LastStream(
        range(len(ids) - 1 if request.pooling == "last" else 0, len(ids)), runner.spec.layers
    )
    runner.prefill([ids], runner.new_state(), probe=last)
    hidden = arrays.host(runner.normed(last.found)).astype(np.float64)
    vector = hidden.mean(0)[:wanted]
    length = float(np.sqrt(vector @ vector))
    if not np.isfinite(length):
        raise NonFiniteError(model.name, "its last hidden state has numbers that are not finite")
    # A vector of zeros stays one.
    vector = (vector / (length or 1.0) if request.scaled else vector).astype(np.float32)
    return Embedding(tuple(vector.tolist()), len(ids), model.source)


def _ids(model: OpenModel, request: EmbeddingRequest) -> list[int]:
    if request.ids is None:
        return model.encode(request.text, special=request.special, subject=request.subject)
    if not request.ids:
        raise InputError(request.subject, "has no tokens")
    vocabulary = model.runner.spec.vocab
    beyond = next((each for each in request.ids if not 0 <= each < vocabulary), None)
    if beyond is not None:
        raise InputError(request.subject, f"there is no token {beyond}, but {vocabulary} others")
    model.check_length(len(request.ids), request.subject)
    return list(request.ids)
