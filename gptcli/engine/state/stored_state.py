"""The state of one row as bytes of a file: written from where it stands, and read back to there.

What is kept by position comes first, strip by strip: a strip is what one head of one layer keeps of
all positions, of keys or of values. Then come the places to which the state can come back, each
with what its layers keep of a row. So much of a strip as BLOCK positions, and each place, has a
checksum. Nothing is copied on the way.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import rounded_up
from gptcli.engine.state.model_state import ModelState
from gptcli.engine.state.snapshot import Snapshot

#: Positions of a strip that have one checksum: a beginning is read no further than the next border.
BLOCK = 1024
_THREADS = 4


class StoredState:
    """The form of such bytes: `tokens` of a row of `state`, which may be empty, and its places.

    places: how many tokens stand before each, rising. Only states of numpy have one.
    """

    def __init__(self, state: ModelState, tokens: int, places: Sequence[int]) -> None:
        self.tokens, self.places = tokens, tuple(places)
        self._positions = rounded_up(tokens, state.group)
        self._blocks = -(-self._positions // BLOCK)
        self._widths = [strip.shape[-1] * strip.itemsize for strip in _strips(state)]
        kept = [each for each in state.snapshot().layers if each is not None] if places else []
        self._each = [sum(each.kept_bytes(place) for each in kept) for place in self.places]

    @property
    def checks(self) -> int:
        """How many checksums there are."""
        return len(self._widths) * self._blocks + len(self.places)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        found: int = self._positions * sum(self._widths) + sum(self._each)
        return found

    def write(
        self, file: BinaryIO, state: ModelState, snapshots: Sequence[Snapshot]
    ) -> NDArray[np.uint32]:
        """Write all to where a file stands; the checksums. Raises OSError.

        snapshots: of the places, in their order.
        """
        found = list[int]()
        for strip in _strips(state):
            for _, data in _blocks(strip, self._positions):
                file.write(data)
                found.append(zlib.crc32(data))
        for snapshot in snapshots:
            check = 0
            for array in _of_row(snapshot):
                data = _bytes(np.ascontiguousarray(array))
                file.write(data)
                check = zlib.crc32(data, check)
            found.append(check)
        return np.array(found, np.uint32)

    def read(
        self, file: BinaryIO, begin: int, state: ModelState, wanted: int, checks: Sequence[int]
    ) -> list[Snapshot] | None:
        """Make an empty state hold the first `wanted` tokens of those at byte `begin` of a file.

        The places among them, of which `wanted` is the last where the state cannot go back to any
        length; None, and a state to be thrown away, where a checksum is wrong. Raises OSError.
        """
        reach = min(rounded_up(wanted, BLOCK), self.tokens)
        state.reserve([0], [reach])
        positions = min(rounded_up(wanted, BLOCK), self._positions)
        reading = _Reading(file, checks)
        at, check = begin, 0
        for strip, width in zip(_strips(state), self._widths, strict=True):
            for start, data in _blocks(strip, positions):
                reading.add(at + start * width, [data], check + start // BLOCK)
            at += self._positions * width
            check += self._blocks
        found, none = list[Snapshot](), state.snapshot()
        for length, size in zip(self.places, self._each, strict=True):
            if length > wanted:
                break
            snapshot = state.at(length, none)
            reading.add(at, list(map(_bytes, _of_row(snapshot))), check)
            found.append(snapshot)
            at, check = at + size, check + 1
        if not reading.done():
            return None
        state.advance([wanted])
        if state.rewinds:
            return found
        there = bool(found) and found[-1].lengths == [wanted] and state.restore(found[-1])
        return found if there else None


def _strips(state: ModelState) -> Iterator[NDArray[Any]]:
    """What one head of one layer keeps of each position, (capacity, features), again and again."""
    for layer in state.layers:
        for array in layer.by_position:
            if array.shape[-1]:
                yield from array[0]


def _blocks(strip: NDArray[Any], positions: int) -> Iterator[tuple[int, memoryview]]:
    """Where each block of a strip begins, up to so many positions, and its bytes."""
    for start in range(0, positions, BLOCK):
        yield start, _bytes(strip[start : min(start + BLOCK, positions)])


def _of_row(snapshot: Snapshot) -> list[NDArray[Any]]:
    """What the layers of a place keep of a row."""
    kept = [layer for layer in snapshot.layers if layer is not None]
    return [array for layer in kept for array in layer.kept(snapshot.lengths[0])]


def _bytes(array: NDArray[Any]) -> memoryview:
    """Those of an array in one piece, where they stand."""
    return array.reshape(-1).view(np.uint8).data


class _Reading:
    """Pieces of memory that are filled from a file, by several threads, and held to checksums."""

    def __init__(self, file: BinaryIO, checks: Sequence[int]) -> None:
        self._file, self._checks = file, checks
        self._pieces: list[tuple[int, list[memoryview], int]] = []
        self._one = threading.Lock()

    def add(self, at: int, pieces: list[memoryview], check: int) -> None:
        """Pieces that stand one after another in the file, and which checksum they have."""
        self._pieces.append((at, pieces, check))

    def done(self) -> bool:
        """Fill all; whether each is what was written. Raises OSError."""
        from concurrent.futures import ThreadPoolExecutor

        # Some at a time: starting each costs about what reading a small one does.
        threads = min(_THREADS, os.cpu_count() or 1)
        with ThreadPoolExecutor(threads) as pool:
            return all(list(pool.map(self._some, range(threads), [threads] * threads)))

    def _some(self, first: int, step: int) -> bool:
        return all(self._filled(*each) for each in self._pieces[first::step])

    def _filled(self, at: int, pieces: list[memoryview], check: int) -> bool:
        found = 0
        for piece in pieces:
            if not self._fill(at, piece):
                return False
            at += len(piece)
            found = zlib.crc32(piece, found)
        return found == self._checks[check]

    def _fill(self, at: int, piece: memoryview) -> bool:
        """False where the file ends before."""
        done = 0
        while done < len(piece):
            if hasattr(os, "preadv"):
                count = os.preadv(self._file.fileno(), [piece[done:]], at + done)
            else:
                with self._one:  # its place is one for all threads
                    self._file.seek(at + done)
                    count = self._file.readinto(piece[done:])  # type: ignore[attr-defined]
            if count == 0:
                return False
            done += count
        return True
