"""A request's body: read within bounds of size and time."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gptcli.errors import ModelError
from gptcli.formats import json as bounded_json
from gptcli.formats.openai.fields import Fields
from gptcli.server.problems import ProblemError, invalid

#: Bytes of a body: more than a million ids.
LIMIT = 8 << 20
#: Bytes of all bodies together, each from its begin to the end of its answer: what was made of them
#: is many times as large.
HELD = 4 * LIMIT
#: Seconds for a body to arrive in.
PATIENCE = 30.0


async def read(request: Request, limit: int = LIMIT, patience: float = PATIENCE) -> Fields:
    """The fields of the JSON object that came. Raises ProblemError: 400, 408, 413."""
    too_large = ProblemError(413, f"the body has more than {limit} bytes", code="body_too_large")
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(patience):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise ProblemError(408, f"the body did not arrive within {patience:g} s") from None
    try:
        return Fields(bounded_json.parse(bytes(body), "body"))
    except ModelError as error:
        raise invalid(None, str(error)) from None


class Held:
    """The app, with what it holds of requests bounded: ProblemError 503 for whoever reads more."""

    def __init__(self, app: ASGIApp, most: int = HELD) -> None:
        self._app, self._most = app, most
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        mine = 0

        async def counted() -> Message:
            nonlocal mine
            message = await receive()
            came = len(message.get("body", b""))
            mine, self._held = mine + came, self._held + came
            if self._held > self._most:
                raise ProblemError(503, "too much is being read already", code="overloaded")
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._held -= mine
