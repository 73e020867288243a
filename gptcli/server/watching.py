"""What is seen of every request: a line in the log, without any of its text, and the metrics."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gptcli.server.answering import LEFT
from gptcli.server.desk import Desk
from gptcli.server.tally import Tally, tally_of

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


class Metrics:
    """Prometheus's counts of one server."""

    def __init__(self, desk: Desk, paths: frozenset[str]) -> None:
        """paths: those that are told apart; anybody can make up more."""
        self._paths = paths
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "gptcli_requests",
            "Requests, by path and status.",
            ("path", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "gptcli_request_seconds",
            "Seconds from a request to the end of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._first = Histogram(
            "gptcli_first_token_seconds",
            "Seconds from a request to the first part of its text.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._prompt = Counter("gptcli_prompt_tokens", "Tokens of prompts.", registry=registry)
        self._drawn = Counter("gptcli_completion_tokens", "Tokens drawn.", registry=registry)
        open_ = Gauge("gptcli_open_questions", "Texts under way or waiting.", registry=registry)
        open_.set_function(lambda: desk.open)

    def add(self, path: str, tally: Tally) -> None:
        """Count a request that is over."""
        path = path if path in self._paths else "other"
        self._requests.labels(path, str(tally.status)).inc()
        self._seconds.labels(path).observe(tally.seconds)
        if tally.first is not None:
            self._first.observe(tally.first - tally.began)
        self._prompt.inc(tally.prompt_tokens)
        self._drawn.inc(tally.completion_tokens)

    def response(self) -> Response:
        """All of them, in Prometheus's text."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)


class Watch:
    """The app, with every request noted. log takes a line."""

    def __init__(self, app: ASGIApp, log: Callable[[str], None], metrics: Metrics) -> None:
        self._app, self._log, self._metrics = app, log, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        tally = tally_of(scope)

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                tally.status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            # Who leaves before anything was said gets no status.
            tally.status = tally.status or LEFT
            self._metrics.add(scope["path"], tally)
            self._log(_line(scope, tally))


def _line(scope: Scope, tally: Tally) -> str:
    client = scope.get("client")
    who = client[0] if client else "socket"
    line = f"{who} {scope['method']} {scope['path'][:100]} {tally.status} {tally.seconds:.2f} s"
    if tally.prompt_tokens or tally.completion_tokens:
        line += f", {tally.prompt_tokens} + {tally.completion_tokens} tokens"
    return f"{line}: {tally.failed}" if tally.failed else line
