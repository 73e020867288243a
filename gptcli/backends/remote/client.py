"""OpenAI's own client, held to one host and to answers of bounded size.

Its retries, timeouts and proxies are what it has; a redirect is followed on the same host only, so
that neither a key nor a prompt goes where nobody sent it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import Any

import httpx2
import openai

from gptcli import __version__
from gptcli.backends.place import OPENAI_URL, Place
from gptcli.backends.remote.failures import broken, failure
from gptcli.errors import UsageError

#: Bytes of one answer, and of one line of it, on which a stream's events are.
MOST, LONGEST_LINE = 256 << 20, 64 << 20
#: Seconds for a connection to come about.
_CONNECT = 15.0
_REDIRECTS = 5
#: What a server is told beside its question and the key.
_HEADERS = frozenset(
    (
        *("host", "connection", "accept", "accept-encoding", "content-type", "content-length"),
        "user-agent",
    )
)


class Link:
    """A server under its base URL."""

    def __init__(self, place: Place) -> None:
        """Raises UsageError where the environment names proxies or certificates that are none."""
        self.place = place
        try:
            self._client = self._made(place)
        except (httpx2.InvalidURL, ImportError, ValueError):
            # Theirs may show a password of the proxy.
            reason = "names no proxy that can be used: http://HOST:PORT is one"
            raise UsageError("HTTP_PROXY, HTTPS_PROXY or ALL_PROXY", reason) from None
        except OSError as error:
            name = error.filename or "SSL_CERT_FILE or SSL_CERT_DIR"
            raise UsageError(str(name), error.strerror or "holds no certificates") from None

    @staticmethod
    def _made(place: Place) -> openai.OpenAI:
        return openai.OpenAI(
            # The client cannot be without one; `_Held` takes it away again.
            api_key=place.key.reveal() if place.key else "none",
            base_url=place.url,
            timeout=openai.Timeout(place.timeout, connect=min(_CONNECT, place.timeout)),
            max_retries=place.retries,
            http_client=_Held(place),
            default_headers={"User-Agent": f"gptcli/{__version__}"},
        )

    def get(self, path: str, *, root: bool = False) -> Any:
        """The JSON at a path below the base URL, or below the server's root."""
        return self._asked(lambda: self._client.get(self._url(path, root), cast_to=object))

    def post(self, path: str, body: dict[str, Any], *, root: bool = False) -> Any:
        """The JSON that answers a question."""
        url = self._url(path, root)
        return self._asked(lambda: self._client.post(url, cast_to=object, body=body))

    def stream(self, path: str, body: dict[str, Any]) -> Generator[Any, None, None]:
        """The JSON of each event of a streamed answer, up to `[DONE]`; closing it hangs up."""
        kind = openai.Stream[object]
        events = self._asked(
            lambda: self._client.post(path, cast_to=object, body=body, stream=True, stream_cls=kind)
        )
        try:
            if not events.response.headers.get("content-type", "").startswith("text/event-stream"):
                raise broken(self.place, "sent no stream of events")
            while (event := self._asked(lambda: next(events, _END))) is not _END:
                yield event
        finally:
            events.close()

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def _url(self, path: str, root: bool) -> str:
        return f"{self.place.root}{path}" if root else path

    def _asked(self, ask: Any) -> Any:
        try:
            return ask()
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, RecursionError, OSError) as error:
            # The client's own errors hold the request, and with it the key.
            raise failure(error, self.place) from None


_END = object()


class _Held(openai.DefaultHttpxClient):
    """Sends to one host, says nothing of this machine, and reads so much and no more."""

    def __init__(self, place: Place) -> None:
        super().__init__(follow_redirects=False)
        self._key, self._openai = place.key, place.url == OPENAI_URL

    def __del__(self) -> None:
        # A command asks and is done: its connections go with it.
        with suppress(Exception):
            self.close()

    def send(self, request: httpx2.Request, **more: Any) -> httpx2.Response:
        """As the client's own."""
        self._strip(request)
        streamed = more.pop("stream", False)
        more["follow_redirects"] = False
        response = super().send(request, stream=True, **more)
        for _ in range(_REDIRECTS):
            following = response.next_request
            if following is None or not _same(request, following):
                break
            response.close()
            response = super().send(following, stream=True, **more)
        if response.headers.get("content-encoding", "identity") != "identity":
            response.close()
            raise openai.OpenAIError("sent a compressed answer, which was not asked for")
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _Bounded(response.stream)
        if not streamed:
            try:
                response.read()
            finally:
                response.close()
        return response

    def _strip(self, request: httpx2.Request) -> None:
        """Leave out what tells of this machine and this user beyond the question."""
        request.headers["accept-encoding"] = "identity"
        for name in list(request.headers):
            # Also those of OPENAI_CUSTOM_HEADERS, which may hold what is OpenAI's alone to see.
            if name.startswith("x-stainless-") or not (name in _HEADERS or self._openai):
                del request.headers[name]
        request.headers.pop("authorization", None)
        if self._key is not None:
            request.headers["authorization"] = f"Bearer {self._key.reveal()}"


class _Bounded(httpx2.SyncByteStream):
    """A body, up to so many bytes."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        total = line = 0
        for part in self._stream:
            total += len(part)
            end = part.rfind(b"\n")
            line = len(part) - end - 1 if end >= 0 else line + len(part)
            if total > MOST or line > LONGEST_LINE:
                raise openai.OpenAIError("sent more than any answer holds")
            yield part

    def close(self) -> None:
        """Hang up."""
        self._stream.close()


def _same(request: httpx2.Request, following: httpx2.Request) -> bool:
    """Whether a redirect stays on the host, with method and body; to TLS it may go over."""
    one, other = request.url, following.url
    if request.method != following.method or one.host != other.host:
        return False
    upgraded = (one.scheme, one.port, other.scheme, other.port) == ("http", None, "https", None)
    return upgraded or (one.scheme, one.port) == (other.scheme, other.port)
