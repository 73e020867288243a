"""Weights on their way from a mapped file into large pages, while the model runs.

A mapped file is there at once, but in pages of 4 KB, and finding so many of them costs a decode
step a good part of its time. Pages of 2 MB have to be filled first. So the first tokens come from
the file, and a model that goes on moves, some sections before each forward.
"""

from __future__ import annotations

import mmap
import time
from pathlib import Path

from gptcli.engine.cpu.packing.memory import Bytes, PackedWeights, reserve
from gptcli.engine.host.memory import available_bytes

#: Bytes that are moved before a forward at the least: some milliseconds.
STEP = 16 << 20
#: Forwards in which all is moved, however large: a text of a few hundred tokens is to gain by it.
FORWARDS = 64
#: Bytes a second at the least: below that, as where memory has to be taken from others first, the
#: weights stay where they are, since hundreds of tokens would have to make up for it.
LEAST = 1 << 30
#: Bytes that are there twice at the most.
PIECE = 4 << 20


class Moving:
    """Moves sections out of a mapped file, and lets `packed` know; see Mover.

    What is not read whole stays. begin: where the sections begin in `file`.
    """

    def __init__(self, packed: PackedWeights, file: mmap.mmap, begin: int) -> None:
        self._packed, self._file, self._begin = packed, file, begin
        self._left = [section.name for section in packed.read_whole()]
        self._memory: Bytes | None = None

    def step(self) -> list[str]:
        """Move some sections; their names, none where nothing is left to be moved.

        Nothing is moved where the system has no large pages, or no memory for them, and no more
        where that takes long.
        """
        if self._memory is None:
            if not _pays(self._packed.size):
                return []
            self._memory = reserve(self._packed.size)
        moved: list[str] = []
        least = max(STEP, self._packed.size // FORWARDS)
        done, start = 0, time.perf_counter()
        while self._left and done < least:
            name = self._left.pop(0)
            first, end = self._packed.extent(name)
            for at in range(first, end, PIECE):
                piece = slice(at, min(at + PIECE, end))
                self._memory[piece] = self._packed.memory[piece]
                self._let_go(piece)
            self._packed.moved[name] = self._memory
            moved.append(name)
            done += end - first
        if done < LEAST * (time.perf_counter() - start):
            self._left.clear()
        return moved

    def _let_go(self, piece: slice) -> None:
        """Give the file's pages back; what is read of them all the same comes in again."""
        page, begin = mmap.PAGESIZE, self._begin
        first = -(-(begin + piece.start) // page) * page
        last = (begin + piece.stop) // page * page
        if first < last:
            self._file.madvise(mmap.MADV_DONTNEED, first, last - first)


def _pays(size: int) -> bool:
    """Whether there are large pages, and memory for so many bytes with room for others."""
    try:
        enabled = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    except OSError:
        return False
    free = available_bytes("cpu")
    return "[never]" not in enabled and free is not None and 2 * size < free
