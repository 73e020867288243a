"""`gptcli serve` in the foreground: OpenAI's API on an address or a socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gptcli.backends import ECHO
from gptcli.cli.environment import Environment
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.serving import TOKEN, Serving
from gptcli.cli.opening import check
from gptcli.errors import InputError, UsageError
from gptcli.types.compute import Compute
from gptcli.ui.terminal.progress import watch

if TYPE_CHECKING:
    import socket

    from gptcli.server.admission import Admission

#: Characters of a token: fewer are guessed.
_SHORTEST, _LONGEST = 16, 4096


def serve_http(
    environment: Environment, serving: Serving, compute: Compute, output: Output
) -> None:
    """Serve until a signal comes. Raises UsageError, InputError, ResourceError, and of models."""
    messages = output.messages(environment)
    _check_libraries()
    admission = _admission(environment, serving)
    from gptcli.backends.served.offering import offered
    from gptcli.server.app import application
    from gptcli.server.desk import Desk
    from gptcli.server.door import beside
    from gptcli.server.running import serve as run

    # Before the model: an address that cannot be had is told at once.
    with _listener(serving, admission) as (listener, at):
        check(compute)
        backend, greeting = watch(offered(compute), messages)
        desk = Desk(
            backend,
            most=serving.parallel,
            places=serving.queue,
            report=lambda error: messages.error(
                f"bug: the engine: {type(error).__name__}: {error}"
            ),
        )
        app = application(
            backend,
            _name(compute.model),
            admission=admission,
            log=messages.info,
            desk=desk,
            beside=None
            if compute.model == ECHO
            else lambda desk: beside(desk, compute, greeting, at),
        )
        messages.info(f"serving {_name(compute.model)} at {at}; Ctrl-C ends it")
        run(app, [listener], messages.error)


@contextmanager
def _listener(serving: Serving, admission: Admission) -> Iterator[tuple[socket.socket, str]]:
    """What is listened on, and how people write it. Raises UsageError, ResourceError."""
    from gptcli.server.admission import is_loopback
    from gptcli.server.listening import on_address, on_path

    if serving.socket is not None:
        with on_path(serving.socket.expanduser()) as listener:
            yield listener, str(serving.socket)
        return
    with on_address(serving.host, serving.port) as listener:
        host, port = listener.getsockname()[:2]
        if admission.token is None and not is_loopback(host):
            hint = f"--token-file or {TOKEN} gives one"
            raise UsageError("--host", f"{host} is for others too, which needs a token", hint)
        yield listener, f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def _admission(environment: Environment, serving: Serving) -> Admission:
    """Raises UsageError, InputError for a token that is none."""
    if serving.token_file is not None:
        subject = str(serving.token_file)
        try:
            with serving.token_file.expanduser().open("rb") as file:
                given = file.read(_LONGEST + 2)
        except OSError as error:
            raise InputError(subject, error.strerror or str(error)) from None
        found = given.decode("ascii", errors="replace").strip()
    else:
        subject, found = TOKEN, environment.variables.get(TOKEN, "").strip()
    from gptcli.server.admission import Admission

    if not found and serving.token_file is None:
        return Admission()
    printable = found.isascii() and found.isprintable() and " " not in found
    if not (printable and _SHORTEST <= len(found) <= _LONGEST):
        wanted = f"{_SHORTEST} to {_LONGEST} characters of ASCII without spaces"
        raise InputError(subject, f"must hold a token of {wanted}")
    return Admission(found)


def _name(model: str) -> str:
    """What clients call the model: of a path its last part, which tells nothing of this machine."""
    return Path(model).name if Path(model).exists() else model


def _check_libraries() -> None:
    """Raise UsageError where those of the extra are missing."""
    try:
        import prometheus_client  # noqa: F401
        import sse_starlette  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError("serve", "needs pip install 'gptcli[serve]'", str(error)) from None
