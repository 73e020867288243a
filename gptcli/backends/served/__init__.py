"""A server of our own as a place to run: what it answers is what this process would answer.

Where it is, `place` says; it is asked through a socket that belongs to this user alone. Nothing
heavy is imported: that a process with a warm server starts fast is what all of it is for. One
without pays for a look at a directory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gptcli.backends.place import place_of
from gptcli.backends.served import place

if TYPE_CHECKING:
    from gptcli.backends.base import Backend
    from gptcli.backends.served.backend import ServedBackend
    from gptcli.types.compute import Compute


def find(compute: Compute, elsewhere: Callable[[], Backend]) -> ServedBackend | None:
    """The server that runs for this model and these settings, None where there is none.

    elsewhere: opens the place for what it cannot answer, and for when it is gone.
    """
    socket = place.socket_of(compute)
    if socket is None or not socket.exists() or place_of(compute, named=False) is not None:
        return None
    from gptcli.backends.served.backend import ServedBackend
    from gptcli.backends.served.connection import Connection, GoneError
    from gptcli.backends.served.standing import still_stands

    try:
        connection = Connection(socket)
    except GoneError:
        return None
    if not still_stands(compute.model, connection.greeting):
        connection.close()
        return None
    return ServedBackend(connection, elsewhere)
