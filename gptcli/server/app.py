"""The server's app: its routes, and what stands around all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gptcli.backends.base import Backend
from gptcli.backends.local import LocalBackend
from gptcli.server.admission import Admission, Gate
from gptcli.server.answering import LEFT
from gptcli.server.body import Held
from gptcli.server.chats import chats
from gptcli.server.completions import completions
from gptcli.server.desk import Desk
from gptcli.server.embeddings import embeddings
from gptcli.server.problems import ProblemError, problem_of
from gptcli.server.service import Service, service_of
from gptcli.server.tally import tally_of
from gptcli.server.tokenizing import detokenize, tokenize
from gptcli.server.watching import Metrics, Watch

Endpoint = Callable[[Request], Awaitable[Response]]


def application(
    backend: Backend,
    model: str,
    *,
    admission: Admission = Admission(),  # noqa: B008 (a frozen value)
    log: Callable[[str], None] = lambda _: None,
    desk: Desk | None = None,
    beside: Callable[[Desk], AbstractAsyncContextManager[None]] | None = None,
) -> Starlette:
    """The app that serves a backend under the name `model`.

    log: told a line a request, and of bugs. desk: where one with other bounds is wanted. The desk
    is open as long as the app's lifespan. beside: what else is open as long, by the same desk.
    """
    desk = desk or Desk(backend, report=lambda error: log(_bug("the engine", error)))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        desk.start()
        async with beside(desk) if beside else nullcontext():
            yield
        await desk.close()

    paths = frozenset(route.path for route in ROUTES)
    metrics = Metrics(desk, paths)

    async def told_metrics(_: Request) -> Response:
        return metrics.response()

    app = Starlette(
        routes=[*ROUTES, Route("/metrics", told_metrics)],
        lifespan=lifespan,
        middleware=[Middleware(Watch, log, metrics), Middleware(Gate, admission), Middleware(Held)],
        exception_handlers={HTTPException: _told},
    )
    context = backend.context if isinstance(backend, LocalBackend) else None
    app.state.service = Service(model, desk, backend.supports, context=context)
    app.state.log = log
    return app


def _answering(endpoint: Endpoint) -> Endpoint:
    """What goes wrong within it becomes an answer in OpenAI's shape."""

    async def run(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return ProblemError(LEFT, "the client has left").response()
        except Exception as error:
            problem = problem_of(error)
            tally = tally_of(request.scope)
            tally.failed = problem.message if problem.status >= 500 else problem.code
            if problem.status == 500 and not hasattr(error, "exit_code"):
                request.app.state.log(_bug(request.url.path, error))
            return problem.response()

    return run


async def _models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [_model(service_of(request))]})


async def _one_model(request: Request) -> Response:
    service = service_of(request)
    service.check_name(request.path_params["name"])
    return JSONResponse(_model(service))


def _model(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": service.model,
        "object": "model",
        "created": service.created,
        "owned_by": "gptcli",
    }
    if service.context is not None:
        # vLLM's word for it, and llama-server's: clients look for one or the other.
        found |= {"max_model_len": service.context, "meta": {"n_ctx": service.context}}
    return found


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _told(request: Request, error: Exception) -> Response:
    """Paths and methods that are not there."""
    assert isinstance(error, HTTPException)
    told = f"{request.method[:20]} {request.url.path[:200]}: {error.detail}"
    response = ProblemError(error.status_code, told).response()
    response.headers.update(error.headers or {})
    return response


def _bug(where: str, error: BaseException) -> str:
    return f"bug: {where}: {type(error).__name__}: {error}"


ROUTES = (
    Route("/v1/completions", _answering(completions), methods=["POST"]),
    Route("/v1/chat/completions", _answering(chats), methods=["POST"]),
    Route("/v1/embeddings", _answering(embeddings), methods=["POST"]),
    Route("/v1/models", _models),
    Route("/v1/models/{name:path}", _answering(_one_model)),
    Route("/tokenize", _answering(tokenize), methods=["POST"]),
    Route("/detokenize", _answering(detokenize), methods=["POST"]),
    Route("/health", _health),
)
