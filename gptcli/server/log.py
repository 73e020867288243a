"""What a process in the background has to say, in a file that never grows beyond a size."""

from __future__ import annotations

import os
import threading
from pathlib import Path

#: Bytes of the file, and of the one before it, `.old`.
MOST = 512 << 10
_PIECE = 1 << 16


class Log:
    """Where stdout and stderr go from then on; both files are their owner's alone."""

    def __init__(self, path: Path, most: int = MOST) -> None:
        """Raises OSError where there can be no file."""
        self._path, self._most = path, most
        path.parent.mkdir(parents=True, exist_ok=True)
        self._begin()
        read, write = os.pipe()
        for stream in (1, 2):
            os.dup2(write, stream)
        os.close(write)
        threading.Thread(target=self._keep, args=(read,), name="log", daemon=True).start()

    def _begin(self) -> None:
        self._file = os.open(
            self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
        )
        self._size = 0

    def _keep(self, read: int) -> None:
        while piece := os.read(read, _PIECE):
            try:
                if self._size + len(piece) > self._most:
                    os.close(self._file)
                    self._path.replace(self._path.with_suffix(".old"))
                    self._begin()
                os.write(self._file, piece)
            except OSError:
                # A full disk: what cannot be kept is lost, and nobody waits for it.
                continue
            self._size += len(piece)
