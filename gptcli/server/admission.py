"""Who is let in: the token, where one is needed, and requests that no web page made.

A page in a browser can send requests to this machine's servers, under the page's own name where
its name server lies (DNS rebinding). So the Host must be one of ours, and an Origin, which every
browser names with what a page sends elsewhere, the same. No CORS header is ever sent.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from gptcli.server.problems import ProblemError

#: Answered to anybody who gets this far: it tells nothing.
_OPEN = frozenset({"/health"})


@dataclass(frozen=True)
class Admission:
    """How requests are checked. token: what clients have to show; None for nothing."""

    token: str | None = None

    def check(self, scope: Scope) -> None:
        """Raises ProblemError for a request that is not let in."""
        headers = Headers(scope=scope)
        self._check_names(headers, local=is_local(scope))
        if self.token is not None and scope["path"] not in _OPEN:
            scheme, _, shown = headers.get("authorization", "").partition(" ")
            known = hmac.compare_digest(shown.strip().encode(), self.token.encode())
            if not known or scheme.lower() != "bearer":
                told = "this server needs a token, as Authorization: Bearer TOKEN"
                raise ProblemError(401, told, code="invalid_api_key")

    def _check_names(self, headers: Headers, *, local: bool) -> None:
        host = headers.get("host", "")
        # No page reaches a socket of the file system, and none knows the token.
        if not (local or self.token is not None or is_loopback(_without_port(host))):
            raise ProblemError(403, "the Host is not this machine's loopback", code="wrong_host")
        origin = headers.get("origin")
        if origin is not None and _host_of(origin) != host.lower():
            raise ProblemError(
                403, "requests of pages of other sites are refused", code="wrong_origin"
            )


class Gate:
    """The app, for those who are admitted."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app, self._admission = app, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http":
            try:
                self._admission.check(scope)
            except ProblemError as problem:
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)


def is_local(scope: Scope) -> bool:
    """Whether a request came through a socket of the file system."""
    server = scope.get("server")
    return server is not None and server[1] is None


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own, which only its processes reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_port(host: str) -> str:
    """A name, or an address without the brackets that those with colons stand in."""
    name, colon, port = host.lower().rpartition(":")
    found = name if colon and port.isdecimal() else host.lower()
    return found[1:-1] if found.startswith("[") and found.endswith("]") else found


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
