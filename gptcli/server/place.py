"""A server's own place: one for a model and settings, whoever comes second is told of the first."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path


class Place:
    """A socket's path, and the lock that says whose it is for as long as a process lives."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._lock: int | None = None

    def take(self) -> bool:
        """Make it ours; False where a living process has it. Raises OSError."""
        path = self.socket.with_suffix(".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            os.close(descriptor)
            raise
        self._lock = descriptor
        return True

    def leave(self) -> None:
        """Let others have it. The lock's file stays: who removes one may remove another's."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self.socket.unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None
