"""Whether files are still those that something was made of, without reading gigabytes each time.

What is kept of them is a digest of their content. Beside it, in a note, stand stamps: what the
system said of the files when their content was last found to be right. Size and time of the last
writing are not enough, since `cp -p`, `rsync -t`, archives and some package managers set that time;
what nobody can set is the time of the last change of any kind and the number of the file. Where no
stamp fits, the content decides, and its stamp is added.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from gptcli import atomic

#: Bytes that are hashed at a time; several at once, by threads.
_BLOCK = 8 << 20
#: The clock by which the system stamps files goes in steps, of 10 ms at the most.
_STEP_SECONDS = 0.05
#: Stamps that a note has room for: several machines may see one file each by another number.
_STAMPS = 16
_LARGEST = 1 << 16


def stamp(files: Iterable[Path]) -> str:
    """What the system says of files, as 32 hex digits. Raises OSError."""
    return stamp_of((file.name, file.stat()) for file in files)


def stamp_of(stats: Iterable[tuple[str, os.stat_result]]) -> str:
    """The same from what it said of each name."""
    # Not the device's number: it changes from mount to mount.
    said = [(n, s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino) for n, s in stats]
    return hashlib.sha256(repr(said).encode(errors="surrogateescape")).hexdigest()[:32]


def settled(files: Sequence[Path]) -> str:
    """The stamp of files at a time at which no later change can have the same one.

    Waits for a moment where one was changed just now. Raises OSError.
    """
    changed = max((file.stat().st_ctime_ns for file in files), default=0) / 1e9
    age = time.time() - changed
    if 0 <= age < _STEP_SECONDS:
        time.sleep(_STEP_SECONDS - age)
    return stamp(files)


def digest(files: Iterable[Path], *, begin: int = 0) -> str:
    """Of the content of regular files, in their order, each from byte `begin` on. Raises OSError.

    SHA-256 of each file's size and of the SHA-256 of each of its blocks.
    """
    found = hashlib.sha256()
    for file in files:
        size = file.stat().st_size - begin

        def part(at: int, file: Path = file) -> bytes:
            with file.open("rb") as opened:
                opened.seek(begin + at)
                return hashlib.sha256(opened.read(_BLOCK)).digest()

        _add(found, size, part)
    return found.hexdigest()


def digest_of(content: memoryview) -> str:
    """What `digest` gives for a file of this content."""

    def part(at: int) -> bytes:
        return hashlib.sha256(content[at : at + _BLOCK]).digest()

    found = hashlib.sha256()
    _add(found, content.nbytes, part)
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


def _add(found: hashlib._Hash, size: int, part: Callable[[int], bytes]) -> None:
    """A file's size, and the digest of each of its blocks, which `part` makes of its beginning."""
    from concurrent.futures import ThreadPoolExecutor

    found.update(size.to_bytes(8, "little", signed=True))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for each in pool.map(part, range(0, size, _BLOCK)):
            found.update(each)
