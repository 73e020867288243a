"""A request's body: read within bounds of size and time, and its fields taken one by one.

A field that nobody takes is refused by its name, unless it cannot change an answer: who asks for
something gets it, or learns that it is not to be had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gptcli.config import Limit
from gptcli.errors import ModelError
from gptcli.formats import json as bounded_json
from gptcli.server.problems import ProblemError, invalid

#: Bytes of a body: more than a million ids.
LIMIT = 8 << 20
#: Bytes of all bodies together, each from its begin to the end of its answer: what was made of them
#: is many times as large.
HELD = 4 * LIMIT
#: Seconds for a body to arrive in.
PATIENCE = 30.0
#: Fields of OpenAI's and of servers like it that say nothing about the answer.
HARMLESS = frozenset(
    {
        *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"),
        *("prompt_cache_retention", "parallel_tool_calls", "cache_prompt", "request_id"),
    }
)


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


class Fields:
    """The fields of an object, null being as good as none. `at` is what stands before a name."""

    def __init__(self, given: dict[str, Any], at: str = "") -> None:
        self._given = {name: value for name, value in given.items() if value is not None}
        self._at = at

    def take(self, name: str) -> Any:
        """A field of any kind, None where it is not there."""
        return self._given.pop(name, None)

    def text(self, name: str) -> str | None:
        """A text."""
        value = self.take(name)
        if value is not None and not isinstance(value, str):
            raise self.invalid(name, "must be a text")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """True or false."""
        value = self.take(name)
        if value is not None and not isinstance(value, bool):
            raise self.invalid(name, "must be true or false")
        return default if value is None else value

    def word(self, name: str, words: Sequence[str]) -> str:
        """One of these words, the first by default."""
        value = self.take(name)
        if value is not None and value not in words:
            raise self.invalid(name, f"must be one of {', '.join(words)}")
        return words[0] if value is None else str(value)

    def number(self, name: str, limit: Limit) -> float | None:
        """A number in this range."""
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.invalid(name, "must be a number")
        if (reason := limit.reason(value)) is not None:
            raise self.invalid(name, reason)
        return value

    def whole(self, name: str, limit: Limit) -> int | None:
        """A whole number in this range."""
        value = self.number(name, limit)
        if value is not None and not isinstance(value, int):
            raise self.invalid(name, "must be a whole number")
        return value

    def texts(self, name: str, most: int, longest: int) -> tuple[str, ...]:
        """A text or a list of some, none empty."""
        value = self.take(name)
        found = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self.invalid(name, "must be a text or a list of texts")
        if len(found) > most or any(not 0 < len(each) <= longest for each in found):
            raise self.invalid(name, f"must be at most {most} texts of 1 to {longest} characters")
        return tuple(found)

    def object(self, name: str) -> Fields:
        """The fields of a field; none where it is not there."""
        value = self.take(name)
        if value is not None and not isinstance(value, dict):
            raise self.invalid(name, "must be an object")
        return Fields(value or {}, f"{self._at}{name}.")

    def only(self, name: str, allowed: Sequence[Any], why: str) -> None:
        """Refuse a field unless it asks for what is done anyway."""
        value = self.take(name)
        if value is not None and value not in allowed:
            raise self.invalid(name, why)

    def done(self) -> None:
        """Refuse what is left and matters."""
        for name in self._given:
            if self._at or name not in HARMLESS:
                raise self.invalid(name[:80], "is not known here", "unsupported_parameter")

    def invalid(self, name: str, message: str, code: str | None = None) -> ProblemError:
        """The problem of a field."""
        return invalid(f"{self._at}{name}", f"{self._at}{name}: {message}", code)
