"""What is done of a batch, kept so that nothing stops it for good.

A run adds each result to OUT.journal as it comes, in whatever order, and at its end writes OUT
beside its place, in the order of the input, renames it, and removes the journal. So OUT is whole or
not there, and the same bytes whether a run was stopped or not; a reader of a half-done run looks
into the journal.

    {"gptcli_batch": 1, "seed": …, "said": …, "settings": {…}}
    PLACE SIGN KEY CRC RESULT        for each row; SIGN is + for an answer and - for an error;
                                     KEY is the row's own digits of its key

Each record goes to the system in one write, so that a killed process loses nothing that it had
done. It is on the disk within a second or so (`_SYNC_SECONDS`) of running, and at every orderly
end: a power failure costs the rows of that second, which are run again. Its end may be torn then,
or hold zeros: from the first record whose checksum is wrong on, the journal is cut off. Errors are
kept for OUT alone: whoever resumes wants their rows run again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from gptcli import atomic
from gptcli.errors import InputError, ResourceError, UsageError

_FORM, _FORM_NUMBER = "gptcli_batch", 1
_SYNC_SECONDS = 1.0
_DONE, _FAILED = b"+", b"-"
#: Of a row that is none there is no question to make a key of.
_NO_KEY = "0" * 16
#: Rows are begun out of their order, so that one may be far ahead of those that are done.
_AHEAD = 1 << 24
_NUMBER, _DIGEST = re.compile(rb"[0-9]{1,15}"), re.compile(rb"[0-9a-f]{16}")
_BEGINS = f'{{"{_FORM}": {_FORM_NUMBER}, '.encode()
#: A head is some settings; a file that begins with more is none of ours.
_LONGEST_HEAD = 1 << 20


class Journal:
    """The journal of one output, open and nobody else's. Close it, whatever happens."""

    def __init__(self, out: Path, file: BinaryIO, path: Path) -> None:
        self.out, self.path = out, path
        #: The run's seed, and whether it was asked for.
        self.seed, self.said = 0, False
        #: How many answers were there when it was opened, and how many of them are of no use.
        self.found = self.changed = 0
        #: Whether these are those of an output that was finished, and how many came since.
        self.adopted, self.added = False, 0
        self._file = file
        self._at, self._keys, self._failed = array("q"), array("Q"), bytearray()
        self._size = 0
        self._synced = time.monotonic()

    def begin(self, seed: int, settings: Mapping[str, Any], *, said: bool) -> None:
        """Write the head of a new one, over whatever was there."""
        self.seed, self.said = seed, said
        head = {_FORM: _FORM_NUMBER, "seed": seed, "said": said, "settings": settings}
        with self._writing():
            self._file.truncate(0)
            self._put(json.dumps(head).encode() + b"\n")
            os.fsync(self._file.fileno())
            atomic.flush_directory(self.path.parent)

    def recover(self) -> dict[str, Any] | None:
        """Read what is there, cut off what is torn; the settings, None where there is no head.

        Raises UsageError for a file that is no journal.
        """
        self._file.seek(0)
        reader = os.fdopen(os.dup(self._file.fileno()), "rb")
        with reader:
            head = _head(reader.readline(_LONGEST_HEAD), self.path)
            if head is None:
                return None
            self.seed, self.said, end = head["seed"], bool(head["said"]), reader.tell()
            for line in reader:
                record = _record(line)
                if record is None or record[0] > len(self._at) + _AHEAD:
                    break
                place, failed, key = record
                self._note(place, end, key, failed=failed)
                end += len(line)
        self._size = end
        with self._writing():
            self._file.truncate(end)
        self.found = self.kept
        settings: dict[str, Any] = head["settings"]
        return settings

    def has(self, place: int, key: str) -> bool:
        """Whether the row at a place is answered; by another row's answer it is not."""
        if place >= len(self._at) or self._at[place] < 0 or self._failed[place]:
            return False
        if self._keys[place] == int(key or _NO_KEY, 16):
            return True
        # It is none of these rows', and is not counted as one of their answers.
        self._failed[place] = True
        self.changed += 1
        return False

    def add(self, place: int, key: str, result: str, *, failed: bool) -> None:
        """A result, after which nothing takes it away. Raises ResourceError."""
        data = result.encode()
        head = f"{place} {(_FAILED if failed else _DONE).decode()} {key or _NO_KEY}"
        check = zlib.crc32(head.encode() + data)
        at = self._size
        with self._writing():
            self._put(f"{head} {check:08x} ".encode() + data + b"\n")
            if time.monotonic() - self._synced > _SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        self._note(place, at, int(key or _NO_KEY, 16), failed=failed)
        self.added += 1

    def adopt(self, records: Iterable[tuple[int, str, str, bool]]) -> None:
        """Take over the (place, key, result, whether it is an error) of an output.

        What is here already is newer: then taking it over was stopped, and is gone on with.
        """
        self.adopted = not self._at
        for place, key, result, failed in records:
            if place >= len(self._at) or self._at[place] < 0:
                self.add(place, key, result, failed=failed)
                self.found += not failed
        self.added = 0

    def finish(self, rows: int) -> None:
        """Write OUT, of so many rows, and remove the journal. Raises ResourceError."""
        if self.adopted and rows < len(self._at):
            reason = f"is finished, with {len(self._at)} results, of an input of {rows} rows now"
            raise UsageError(str(self.out), reason)
        with told(self.out):
            if self.added or not self.adopted:
                with atomic.replacing(self.out) as file:
                    for result in self._results(rows):
                        file.write(result)
            self.remove()

    @property
    def kept(self) -> int:
        """How many answers are there, those of other rows left out that were found so far."""
        return sum(at >= 0 for at in self._at) - sum(self._failed)

    @property
    def needless(self) -> bool:
        """Whether the output has all of it."""
        return self.adopted and not self.added

    def remove(self) -> None:
        """Remove the file; nothing is added to it any more."""
        self.path.unlink(missing_ok=True)
        self._file.close()

    def close(self) -> None:
        """Bring what was added to the disk, and let go of the file."""
        if self._file.closed:
            return
        if self.needless:
            self.remove()
            return
        # What cannot be flushed was told where it was written, or will be found out by checksums.
        with contextlib.suppress(OSError):
            os.fsync(self._file.fileno())
        self._file.close()

    def _results(self, rows: int) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            for place in range(rows):
                file.seek(self._at[place])
                yield file.readline().split(b" ", 4)[4]

    def _note(self, place: int, at: int, key: int, *, failed: bool) -> None:
        more = place + 1 - len(self._at)
        if more > 0:
            self._at.extend([-1] * more)
            self._keys.extend([0] * more)
            self._failed.extend(bytes(more))
        self._at[place], self._keys[place], self._failed[place] = at, key, failed

    def _put(self, data: bytes) -> None:
        """Add to the file's end, all of it or nothing."""
        left = memoryview(data)
        self._file.seek(self._size)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self._size)
            raise
        self._size += len(data)

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        return told(self.path)


@contextlib.contextmanager
def told(path: Path) -> Iterator[None]:
    """OSErrors within become ResourceErrors that name the file."""
    try:
        yield
    except OSError as error:
        raise ResourceError(str(path), error.strerror or str(error)) from None


def _head(line: bytes, path: Path) -> dict[str, Any] | None:
    """The head, None where the file ends before one does, as after a power failure."""
    begun = line.rstrip(b"\0")
    ours = begun[: len(_BEGINS)] == _BEGINS[: len(begun)]
    if ours and b"\n" not in line and len(line) < _LONGEST_HEAD:
        return None
    try:
        head = json.loads(line)
        if head[_FORM] == _FORM_NUMBER and isinstance(head["seed"], int):
            return {name: head[name] for name in ("seed", "said")} | {
                "settings": dict(head["settings"])
            }
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise InputError(str(path), "is no journal of a batch")


def _record(line: bytes) -> tuple[int, bool, int] | None:
    """(place, whether it is an error, key), None where the record is torn."""
    try:
        place, sign, key, check, data = line.split(b" ", 4)
        if not line.endswith(b"\n") or sign not in (_DONE, _FAILED):
            return None
        if not (_NUMBER.fullmatch(place) and _DIGEST.fullmatch(key)):
            return None
        if zlib.crc32(b" ".join((place, sign, key)) + data[:-1]) != int(check, 16):
            return None
        return int(place), sign == _FAILED, int(key, 16)
    except ValueError:
        return None
