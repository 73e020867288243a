"""A text as one vector: what a server's `/embeddings` says of it."""

from __future__ import annotations

import math
from array import array
from typing import Any

from gptcli.backends.remote.reading import Reader
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.errors import InputError
from gptcli.types.embedding import Embedding, EmbeddingRequest

#: Numbers of a vector, many times more than a model has.
_LONGEST = 1 << 20


def answer(model: RemoteModel, request: EmbeddingRequest) -> Embedding:
    """The server's vector, scaled where that is asked for. Raises UsageError for what it cannot."""
    server, text = model.server, request.text
    if not text:
        raise InputError(request.subject, "is empty")
    body: dict[str, Any] = {
        "model": model.place.model,
        "input": text if request.ids is None else list(request.ids),
        "encoding_format": "float",
    }
    if request.pooling is not None:
        if not server.pooling:
            raise model.refuse("--pool", "has a way of its own to make one vector of many")
        body[server.pooling] = request.pooling
    if request.special:
        raise model.refuse("--special", "reads the text of an embedding in its own way")
    if request.dimensions is not None:
        body["dimensions"] = request.dimensions
    read = Reader(model.place)
    said = read.mapping(model.link.post("/embeddings", body))
    rows = read.rows(said.get("data"), "data")
    if len(rows) != 1:
        raise read.wrong("with another number of vectors than of texts")
    vector = _vector(read, read.mapping(rows[0]).get("embedding"))
    wanted = request.dimensions
    if wanted is not None and len(vector) != wanted:
        raise model.refuse("--dimensions", f"gives {len(vector)} numbers, not {wanted}")
    if request.scaled:
        length = math.sqrt(math.fsum(each * each for each in vector)) or 1.0
        vector = array("f", (each / length for each in vector)).tolist()
    usage = said.get("usage")
    tokens = read.count(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
    return Embedding(tuple(vector), tokens, model.source)


def _vector(read: Reader, value: Any) -> list[float]:
    numbers = read.rows(value, "embedding")
    if not 0 < len(numbers) <= _LONGEST:
        raise read.wrong("whose embedding has no numbers, or too many")
    for each in numbers:
        is_one = isinstance(each, int | float) and not isinstance(each, bool)
        if not (is_one and math.isfinite(each)):
            raise read.wrong("whose embedding is no list of numbers")
    return list(map(float, numbers))
