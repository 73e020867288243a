"""Packed weights that are written to a file while others are packed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

import numpy as np

from gptcli.engine.cpu.packing.memory import Bytes, reserve
from gptcli.engine.cpu.packing.pack import Target


@contextlib.contextmanager
def writing(file: BinaryIO, begin: int, size: int) -> Iterator[Target]:
    """Where packed weights of so many bytes go, from byte `begin` of a file on.

    They are in the file when the block ends. Raises OSError where there is no room for them, before
    any is packed, or where they cannot be written.
    """
    _reserve(file, begin + size)
    file.seek(begin)
    with ThreadPoolExecutor(1) as thread:
        into = _Writing(file, thread)
        yield into
        into.end(size)


class _Writing:
    """See Target: two pieces of memory, of which one is written while the other is filled.

    Mapping the file instead takes several times as long, a fault for each of its pages, and a full
    disk would end the process. Errors of writing are raised by a later call.
    """

    def __init__(self, file: BinaryIO, thread: ThreadPoolExecutor) -> None:
        """thread: one, so that what is written keeps its order."""
        self._file, self._thread, self._at = file, thread, 0
        self._pieces = [np.empty(0, dtype=np.uint8)] * 2
        self._written: list[Future[None] | None] = [None, None]
        self._turn = 0

    def room(self, first: int, end: int) -> Bytes:
        """See Target."""
        self._turn = 1 - self._turn
        self._wait(self._turn)
        if end - first > len(self._pieces[self._turn]):
            self._pieces[self._turn] = reserve(end - first)
        return self._pieces[self._turn][: end - first]

    def done(self, first: int, end: int) -> None:
        """See Target."""
        piece = self._pieces[self._turn][: end - first]
        self._written[self._turn] = self._thread.submit(self._write, first, piece)

    def end(self, at: int) -> None:
        """Zeros up to there; all is written."""
        for turn in (0, 1):
            self._wait(turn)
        self._write(at, self._pieces[0][:0])

    def _wait(self, turn: int) -> None:
        written = self._written[turn]
        if written is not None:
            written.result()

    def _write(self, first: int, piece: Bytes) -> None:
        self._file.write(bytes(first - self._at))
        self._file.write(piece.data)
        self._at = first + len(piece)


def _reserve(file: BinaryIO, size: int) -> None:
    """Room on the disk, before the work: OSError where there is none. Makes writing faster, too."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
