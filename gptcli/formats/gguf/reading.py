"""Rows of GGUF tensors, read where they are: as bytes, or as numbers, some at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from gptcli.formats.bfloat16 import as_bfloat16
from gptcli.formats.gguf.numbers import floats
from gptcli.formats.gguf.taken import PLAIN, GgufRows, Taken
from gptcli.plain import dataclass

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.intp]

#: Numbers that are made at a time: 4 MiB of float32.
CHUNK = 1 << 20
_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "uint16"}


@dataclass(frozen=True)
class Rows:
    """Rows of a stored tensor, of which each is read when it is asked for.

    places: for each its number, as `Taken.places` has it; bytes_of: the mapped bytes of a source.
    """

    taken: Taken
    places: Numbers
    bytes_of: Callable[[GgufRows], Bytes]

    @property
    def kind(self) -> str:
        """What they are: as `Taken.kind`, of those sources alone that they are from."""
        used = tuple(self.taken.sources[number] for number in self._used())
        return Taken(used, shift=self.taken.shift, log=self.taken.log).kind

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as numbers."""
        return len(self.places), self.taken.columns

    def __getitem__(self, rows: slice) -> Rows:
        return Rows(self.taken, self.places[rows], self.bytes_of)

    def bytes(self) -> Bytes:
        """(rows, bytes), of one type: a view of the file where they follow each other there."""
        used, count = self._used(), len(self.taken.sources)
        if len(used) == 1:
            return self._of(used[0], self.places // count)
        parts = [self._of(number, self.places[self._from(number)] // count) for number in used]
        found = np.empty((len(self.places), parts[0].shape[1]), dtype=np.uint8)
        for number, part in zip(used, parts, strict=True):
            found[self._from(number)] = part
        return found

    def numbers(self) -> NDArray[np.floating]:
        """(rows, columns) in float32, or float64 where they are stored so."""
        used, count = self._used(), len(self.taken.sources)
        if len(used) == 1:
            found = floats(self._of(used[0], self.places // count), self._type(used[0]))
        else:
            found = np.empty(self.shape, dtype=np.float32)
            for number in used:
                here = self._from(number)
                part = self._of(number, self.places[here] // count)
                found[here] = floats(part, self._type(number))
        # What is no number stays none, or becomes none.
        with np.errstate(invalid="ignore", divide="ignore"):
            if self.taken.log:
                found = np.log(-found)
            return found + np.float32(self.taken.shift) if self.taken.shift else found

    def chunks(self) -> Iterator[Rows]:
        """The same, some rows at a time."""
        step = max(1, CHUNK // max(1, self.taken.columns))
        for start in range(0, len(self.places), step):
            yield self[start : start + step]

    def array(self) -> NDArray[np.generic]:
        """(rows, columns) as `kind` has them, bfloat16 in uint16, blocks as float32.

        A view of the file where that is possible. FloatingPointError for a number beyond float32.
        """
        kind = self.kind
        one = len(self._used()) == 1 and not self.taken.log
        if one and not self.taken.shift and self._type(self._used()[0]) == kind and kind in PLAIN:
            return self.bytes().view(_DTYPES[kind])
        found = np.empty(self.shape, dtype=_DTYPES.get(kind, "float32"))
        at = 0
        for part in self.chunks():
            numbers = part.numbers()
            rows = slice(at, at := at + len(numbers))
            if kind == "BF16":
                found[rows] = as_bfloat16(numbers)
            else:
                with np.errstate(over="raise"):
                    found[rows] = numbers.astype(found.dtype, copy=False)
        return found

    def _used(self) -> list[int]:
        """The sources that rows are from, by number."""
        count = len(self.taken.sources)
        return [0] if count == 1 else np.unique(self.places % count).tolist()

    def _from(self, source: int) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.places % len(self.taken.sources) == source
        return found

    def _type(self, source: int) -> str:
        return self.taken.sources[source].type

    def _of(self, source: int, places: Numbers) -> Bytes:
        rows = self.taken.sources[source]
        data = self.bytes_of(rows).reshape(rows.count, -1)
        first = int(places[0])
        if len(places) == 1 or bool((np.diff(places) == 1).all()):
            return data[first : first + len(places)]
        return data[places]
