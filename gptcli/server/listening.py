"""Where a server listens: an address of the network, or a socket of the file system."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gptcli.errors import ResourceError, UsageError

#: Connections that wait to be taken.
_BACKLOG = 256
#: Milliseconds after which the system drops a connection whose other side takes nothing.
_UNTAKEN = 60_000


def on_address(host: str, port: int) -> socket.socket:
    """Listen there; port 0 is any that is free. Raises UsageError, ResourceError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError("--host", f"{host!r} is no address: {_reason(error)}") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNTAKEN)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        hint = "--port names another one" if error.errno in (98, 48) else None
        raise ResourceError(f"{host}:{port}", _reason(error), hint) from None
    return listener


@contextmanager
def on_path(path: Path) -> Iterator[socket.socket]:
    """Listen on a socket of the file system, which only its owner can open, and remove it at last.

    What a server left there that is no more is replaced. Raises UsageError, ResourceError.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_room(path)
        # Made for its owner alone from the first moment on.
        before = os.umask(0o177)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(before)
        made = path.stat().st_ino
        listener.listen(_BACKLOG)
    except BaseException as error:
        listener.close()
        if isinstance(error, OSError):
            raise ResourceError(str(path), _reason(error)) from None
        raise
    try:
        yield listener
    finally:
        listener.close()
        with suppress(OSError):
            # Another server may have taken its place.
            if path.stat().st_ino == made:
                path.unlink()


def _make_room(path: Path) -> None:
    """Remove a socket behind which nobody is. Raises UsageError where there is something else."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(str(path), "is there, and is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(1)
        try:
            caller.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise UsageError(str(path), _reason(error)) from None
    raise UsageError(str(path), "a server listens there already")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
