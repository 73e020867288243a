"""POST /v1/embeddings: each text's last hidden state as one vector."""

from __future__ import annotations

import array
import base64
import sys
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from gptcli.config import MOST, Limit
from gptcli.formats.openai.prompts import prompts
from gptcli.server.answering import unless_left
from gptcli.server.answers import Answers
from gptcli.server.service import fields_of, service_of
from gptcli.server.tally import tally_of
from gptcli.types.embedding import POOLINGS, Embedding, EmbeddingRequest

_FORMATS = ("float", "base64")


async def embeddings(request: HttpRequest) -> Response:
    """Answer one. Raises ProblemError, and what `problem_of` knows."""
    fields, service = await fields_of(request), service_of(request)
    service.check_kind(EmbeddingRequest)
    texts = prompts(fields, "input")
    dimensions = fields.whole("dimensions", Limit(1, MOST))
    form = fields.word("encoding_format", _FORMATS)
    pooling = fields.word("pooling", POOLINGS)
    fields.done()
    questions = [
        EmbeddingRequest(
            text=each if isinstance(each, str) else "",
            ids=None if isinstance(each, str) else each,
            pooling="last" if pooling == "last" else "mean",
            dimensions=dimensions,
        )
        for each in texts
    ]
    found = await unless_left(request, _all(service.desk.ask_all(questions)))
    tokens = sum(each.tokens or 0 for each in found)
    tally_of(request.scope).prompt_tokens = tokens
    return JSONResponse(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": _written(each, form)}
                for index, each in enumerate(found)
            ],
            "model": service.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


async def _all(answers: Answers) -> list[Embedding]:
    try:
        return [await answer.whole() for answer in answers.each]
    finally:
        await answers.aclose()


def _written(found: Embedding, form: str) -> Any:
    """Numbers, or the bytes of little-endian float32 in base64."""
    if form == "float":
        return list(found.vector)
    numbers = array.array("f", found.vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()
