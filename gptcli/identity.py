"""Whether files are still those that something was made of, without reading gigabytes each time.

What is known of them is a stamp: what the system says of the files, and a sample of what is in
them. Size and time of the last writing are not enough, since `cp -p`, `rsync -t`, archives and some
package managers set that time; what nobody can set is the time of the last change of any kind and
the number of the file. Where a file system has neither, or makes them up, the sample tells: the
beginning of each file, where its header is, its end, and pages between.

Stamps stand in a note beside what was made, and vouch for it. Where none fits, a digest of the
whole content decides, if one was kept, and the stamp is added; else it is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from gptcli import atomic

#: Bytes that are hashed at a time; several at once, by threads.
_BLOCK = 8 << 20
#: The clock by which the system stamps files goes in steps, of 10 ms at the most.
_STEP_SECONDS = 0.05
#: Of a sample: bytes that are read at the beginning of all files together, how many pages after
#: that, and how long a page is.
_BEGINNING, _PAGES, _PAGE = 4 << 20, 64, 4096
#: A file's own beginning is not less than this, however many there are.
_LEAST = 1 << 16
#: Stamps that a note has room for: several machines may see one file each by another number.
_STAMPS = 16
_LARGEST = 1 << 16


def stamp(files: Iterable[Path]) -> str:
    """What the system says of files, and a sample of them, as 32 hex digits. Raises OSError."""
    with contextlib.ExitStack() as held:
        return stamp_of([(file.name, held.enter_context(file.open("rb"))) for file in files])


def stamp_of(files: Sequence[tuple[str, BinaryIO]]) -> str:
    """The same of files that are open, each with its name."""
    stats = [os.fstat(file.fileno()) for _, file in files]
    # Not the device's number: it changes from mount to mount.
    said = [
        (name, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino)
        for (name, _), s in zip(files, stats, strict=True)
    ]
    return _sampled(said, [file for _, file in files], [stat.st_size for stat in stats])


def sample(files: Iterable[Path]) -> str:
    """Names, sizes and a sample of files, the same on every machine; 32 hex digits.

    Raises OSError.
    """
    with contextlib.ExitStack() as held:
        found = [(file.name, held.enter_context(file.open("rb"))) for file in files]
        sizes = [os.fstat(file.fileno()).st_size for _, file in found]
        said = [(name, size) for (name, _), size in zip(found, sizes, strict=True)]
        return _sampled(said, [file for _, file in found], sizes)


def _sampled(said: object, files: Sequence[BinaryIO], sizes: Sequence[int]) -> str:
    found = hashlib.sha256(repr(said).encode(errors="surrogateescape"))
    total = sum(sizes)
    for file, size in zip(files, sizes, strict=True):
        first = max(_BEGINNING // len(files), _LEAST)
        for begin, length in [(0, first), *_pages(first, size, total)]:
            file.seek(begin)
            found.update(file.read(length))
    return found.hexdigest()[:32]


def _pages(first: int, size: int, total: int) -> Iterator[tuple[int, int]]:
    """Where pages of a file are read, from byte `first` on, and how long: its share, and its end.

    They are not at equal distances, as the rows of a matrix may be.
    """
    step = max(total // _PAGES, 2 * _PAGE)
    for number, begin in enumerate(range(first, size - _PAGE, step)):
        yield begin + number * 0x9E3779B1 % (step - _PAGE), _PAGE
    if size > first:
        yield max(first, size - _PAGE), _PAGE


def boot() -> str | None:
    """A word for the time since this machine was started; None where the system has none.

    What the system was given to write in that time can be read back whole, on the disk or not.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or None
    except OSError:
        return None


def settled(files: Sequence[Path]) -> str:
    """The stamp of files at a time at which no later change can have the same one.

    Waits for a moment where one was changed just now. Raises OSError.
    """
    changed = max((file.stat().st_ctime_ns for file in files), default=0) / 1e9
    age = time.time() - changed
    if 0 <= age < _STEP_SECONDS:
        time.sleep(_STEP_SECONDS - age)
    return stamp(files)


def digest(files: Iterable[Path]) -> str:
    """Of the content of regular files, in their order. Raises OSError.

    SHA-256 of each file's size and of the SHA-256 of each of its blocks.
    """
    found = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            _add(found, file, 0)
    return found.hexdigest()


def digest_from(file: BinaryIO, begin: int) -> str:
    """The same of an open file, from byte `begin` on. Raises OSError."""
    found = hashlib.sha256()
    _add(found, file, begin)
    return found.hexdigest()


def vouched(note: Path, what: str, found: str) -> bool:
    """Whether a note says that files of this stamp have the content that `what` stands for."""
    return found in _read(note, what)


def vouch(note: Path, what: str, found: str) -> None:
    """Note it. Where that cannot be written, the content is read again next time."""
    stamps = [each for each in _read(note, what) if each != found]
    text = json.dumps({"of": what, "stamps": [*stamps, found][-_STAMPS:]})
    atomic.keep(note, f"{text}\n".encode())


def _read(note: Path, what: str) -> list[str]:
    try:
        if not note.is_file():
            return []
        with note.open("rb") as file:
            said = json.loads(file.read(_LARGEST))
        stamps = said["stamps"] if said["of"] == what else []
        return [each for each in stamps if isinstance(each, str)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _add(found: hashlib._Hash, file: BinaryIO, begin: int) -> None:
    """A file's size, and the digest of each of its blocks, from byte `begin` on."""
    from concurrent.futures import ThreadPoolExecutor

    lock = threading.Lock()

    def part(at: int) -> bytes:
        with lock:  # its place is one for all threads; hashing is what takes long
            file.seek(at)
            data = file.read(_BLOCK)
        return hashlib.sha256(data).digest()

    size = os.fstat(file.fileno()).st_size
    found.update((size - begin).to_bytes(8, "little", signed=True))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for each in pool.map(part, range(begin, size, _BLOCK)):
            found.update(each)
