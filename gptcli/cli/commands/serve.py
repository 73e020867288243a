"""`gptcli serve`: a model behind HTTP, in the language that OpenAI's clients speak."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from gptcli.cli.environment import Environment
from gptcli.cli.flags.flatten import only
from gptcli.cli.flags.output import Output
from gptcli.cli.opening import open_for
from gptcli.config import Limit, option
from gptcli.errors import InputError, UsageError
from gptcli.types.compute import Compute

if TYPE_CHECKING:
    import socket

    from gptcli.server.guard import Door

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("The default model, for programs of this machine.", "gptcli serve"),
    ("Another model, on a port that is free.", "gptcli serve -m gpt2 --port 0"),
    (
        "For whoever may open a socket of the file system.",
        "gptcli serve --socket ~/.gptcli.socket",
    ),
    (
        "For other machines, which need the token that the file holds.",
        "gptcli serve --host 0.0.0.0 --token-file ~/.gptcli-token",
    ),
)
#: The variable that holds a token.
TOKEN = "GPTCLI_SERVE_TOKEN"
#: Characters of a token: fewer are guessed.
_SHORTEST, _LONGEST = 16, 4096


@dataclass(frozen=True)
class Serving:
    """Where it listens, to whom, and to how many at once."""

    host: str = option(
        "127.0.0.1",
        "Listen on this address; any but this machine's own needs a token. Default: 127.0.0.1.",
        metavar="ADDRESS",
        brief="Listen on this address (127.0.0.1).",
    )
    port: int = option(
        8080,
        "Listen on this port; 0 is any that is free, and stderr tells which. Default: 8080.",
        metavar="PORT",
        brief="Listen on this port (8080).",
        limit=Limit(0, 65535),
    )
    socket: Path | None = option(
        None,
        "Listen on a socket of the file system instead, which only you can open.",
        metavar="PATH",
        brief="Listen on a socket of the file system.",
    )
    token_file: Path | None = option(
        None,
        f"Answer only to who shows the token in this file, as `Authorization: Bearer`. {TOKEN} can"
        " hold it as well.",
        metavar="FILE",
        brief="Answer only to who shows this token.",
    )
    parallel: int | None = option(
        None,
        "Answer at most N texts side by side; more wait. Default: as many as the device does well.",
        metavar="N",
        brief="How many texts side by side.",
        limit=Limit(1, 4096),
    )
    queue: int = option(
        256,
        "Take at most N texts at once, those that wait included; more are refused with 503."
        " Default: 256.",
        metavar="N",
        limit=Limit(1, 65536),
    )


def serve(
    environment: Environment,
    serving: Serving,
    compute: Compute,
    output: Annotated[Output, only("quiet", "no_color")],
) -> None:
    """Serve a model to programs that speak OpenAI's API.

    Clients name http://127.0.0.1:8080/v1 as their base URL. Texts are drawn side by side, and each
    is the one that it would be alone, for the same seed. stderr has a line for each request, none
    of its text. Ctrl-C or SIGTERM takes no more requests and ends when those that are open do,
    within 30 seconds; a second one ends at once. gptcli-serve(7) tells what can be asked.
    """
    messages = output.messages(environment)
    _check_libraries()
    door = _door(environment, serving)
    from gptcli.server.app import application
    from gptcli.server.desk import Desk
    from gptcli.server.running import serve as run

    # Before the model: an address that cannot be had is told at once.
    with _listener(serving, door) as (listener, at):
        backend = open_for(compute, messages)
        desk = Desk(
            backend,
            most=serving.parallel,
            places=serving.queue,
            report=lambda error: messages.error(
                f"bug: the engine: {type(error).__name__}: {error}"
            ),
        )
        app = application(backend, _name(compute.model), door=door, log=messages.info, desk=desk)
        messages.info(f"serving {_name(compute.model)} at {at}; Ctrl-C ends it")
        run(app, [listener], messages.error)


@contextmanager
def _listener(serving: Serving, door: Door) -> Iterator[tuple[socket.socket, str]]:
    """What is listened on, and how people write it. Raises UsageError, ResourceError."""
    from gptcli.server.guard import is_loopback
    from gptcli.server.listening import on_address, on_path

    if serving.socket is not None:
        with on_path(serving.socket.expanduser()) as listener:
            yield listener, str(serving.socket)
        return
    with on_address(serving.host, serving.port) as listener:
        host, port = listener.getsockname()[:2]
        if door.token is None and not is_loopback(host):
            hint = f"--token-file or {TOKEN} gives one"
            raise UsageError("--host", f"{host} is for others too, which needs a token", hint)
        yield listener, f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def _door(environment: Environment, serving: Serving) -> Door:
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
    from gptcli.server.guard import Door

    if not found and serving.token_file is None:
        return Door()
    printable = found.isascii() and found.isprintable() and " " not in found
    if not (printable and _SHORTEST <= len(found) <= _LONGEST):
        wanted = f"{_SHORTEST} to {_LONGEST} characters of ASCII without spaces"
        raise InputError(subject, f"must hold a token of {wanted}")
    return Door(found)


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
