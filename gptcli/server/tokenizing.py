"""POST /tokenize and /detokenize, as llama-server and vLLM have them."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from gptcli.server.answering import unless_left
from gptcli.server.service import fields_of, service_of
from gptcli.types.tokens import DecodeRequest, Tokens, TokensRequest


async def tokenize(request: HttpRequest) -> Response:
    """A text, called `prompt` or `content`, in ids; also in pieces where that is asked for."""
    fields, service = await fields_of(request), service_of(request)
    service.check_kind(TokensRequest)
    prompt, content = fields.text("prompt"), fields.text("content")
    if (prompt is None) == (content is None):
        raise fields.invalid("prompt", "there must be a text, here or as content")
    # Control tokens are obeyed where that is asked for, as in a prompt.
    special = fields.flag("parse_special")
    # With what stands before every text, by default where vLLM's name for the text was used.
    begun = fields.flag("add_special") | fields.flag("add_special_tokens", content is None)
    pieces, strings = fields.flag("with_pieces"), fields.flag("return_token_strs")
    fields.done()
    text = content if prompt is None else prompt
    question = TokensRequest(text or "", special=special, begun=begun)
    found = await unless_left(request, service.desk.ask(question).whole())
    told: dict[str, Any] = {"count": len(found.ids), "tokens": list(found.ids)}
    if pieces:
        told["tokens"] = [{"id": each, "piece": _piece(found, each)} for each in found.ids]
    if strings:
        told["token_strs"] = [found.known[each].text for each in found.ids]
    return JSONResponse(told)


async def detokenize(request: HttpRequest) -> Response:
    """Ids, called `tokens`, as a text, called both `content` and `prompt`."""
    fields, service = await fields_of(request), service_of(request)
    service.check_kind(DecodeRequest)
    ids = fields.take("tokens")
    fields.done()
    if not isinstance(ids, list) or not all(type(each) is int for each in ids):
        raise fields.invalid("tokens", "must be a list of ids")
    question = DecodeRequest(tuple(ids), "tokens")
    found = await unless_left(request, service.desk.ask(question).whole())
    text = found.data.decode(errors="replace")
    return JSONResponse({"content": text, "prompt": text})


def _piece(found: Tokens, token: int) -> str | list[int]:
    """The text of a token, its bytes where that is no whole character."""
    data = found.known[token].bytes
    try:
        return data.decode()
    except UnicodeDecodeError:
        return list(data)
