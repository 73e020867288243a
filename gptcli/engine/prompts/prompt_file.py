"""What was computed of one prompt in one file: whole, or not there; used only as it was written.

    the header      see `formats.packed_header`; its texts are
                      fingerprint  of all that the numbers depend on, see `Runner.fingerprint`
                      directory    the model's
                      tokens       how many there are
                      places       to which the state can come back: the tokens before each
                      digest       of all these and of the next two
    tokens          int32, little-endian
    checksums       uint32, little-endian
    the state       see `state.stored_state`

Where anything stands follows from the model, the tokens and the places. A file of any other size is
not used, so that nothing is allocated for what a file only claims to hold.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gptcli import atomic
from gptcli.engine.state.model_state import ModelState
from gptcli.engine.state.snapshot import Snapshot
from gptcli.engine.state.stored_state import StoredState
from gptcli.formats import packed_header
from gptcli.formats.packed_header import BEGIN, PROMPT
from gptcli.plain import dataclass

#: More places than any state has kept.
_MOST_PLACES = 1 << 10


@dataclass(frozen=True)
class Whose:
    """fingerprint: see `Runner.fingerprint`; directory: the model's, for who lists what is kept."""

    fingerprint: str
    directory: Path


@dataclass(frozen=True)
class Head:
    """What stands in a file before the state, which begins at byte `begin`."""

    ids: tuple[int, ...]
    places: tuple[int, ...]
    checks: tuple[int, ...]
    begin: int
    form: StoredState


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO | None]:
    """A file to read, None for what no `write` has made here: a link, a pipe, somebody else's.

    Raises OSError.
    """
    # A pipe is not waited for, and a link is not followed to where somebody else wants it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if path.is_symlink():
        yield None
        return
    with open(os.open(path, flags | getattr(os, "O_NOFOLLOW", 0)), "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor has no Path
        said = os.fstat(file.fileno())
        ours = not hasattr(os, "geteuid") or said.st_uid == os.geteuid()
        yield file if stat.S_ISREG(said.st_mode) and ours else None


def head_of(file: BinaryIO, whose: Whose, state: ModelState, limit: int) -> Head | str:
    """What stands before the state, or why none of it is used, in words. Raises OSError.

    state: an empty one of the model; limit: the most tokens that it may have.
    """
    size = os.fstat(file.fileno()).st_size
    said = packed_header.read(file, PROMPT)
    if said is None:
        return "it is no file of kept prompts, or of another version"
    if said.get("fingerprint") != whose.fingerprint:
        return "it is of another model, or of other settings"
    try:
        tokens = int(said["tokens"])
        places = tuple(map(int, said["places"].split()))
    except (KeyError, ValueError):
        return "it is broken"
    rises = all(a < b for a, b in zip((0, *places), (*places, tokens + 1), strict=True))
    if not 0 < tokens <= limit or not rises or len(places) > _MOST_PLACES:
        return "it is broken"
    form = StoredState(state, tokens, places)
    begin = BEGIN + 4 * (tokens + form.checks)
    if size != begin + form.size:
        return "it is not whole"
    rest = file.read(begin - BEGIN)
    if said.pop("digest", "") != _digest(said, rest):
        return "its checksum is wrong"
    numbers = np.frombuffer(rest, "<u4")
    ids, checks = numbers[:tokens].tolist(), numbers[tokens:].tolist()
    return Head(tuple(ids), places, tuple(checks), begin, form)


def write(
    path: Path,
    whose: Whose,
    state: ModelState,
    ids: Sequence[int],
    snapshots: Sequence[Snapshot],
) -> None:
    """Write the first row of a state that holds these ids, and can come back to the snapshots.

    For its owner's eyes alone. Nothing is left behind where it fails. Raises OSError.
    """
    places = [each.lengths[0] for each in snapshots]
    form = StoredState(state, len(ids), places)
    said = {
        "fingerprint": whose.fingerprint,
        "directory": str(whose.directory),
        "tokens": str(len(ids)),
        "places": " ".join(map(str, places)),
    }
    # Nobody waits for the disk: what does not reach it has wrong checksums.
    with atomic.replacing(path, private=True, flushed=False) as file:
        file.seek(BEGIN + 4 * (len(ids) + form.checks))
        checks = form.write(file, state, snapshots)
        rest = np.array(ids, "<u4").tobytes() + checks.astype("<u4").tobytes()
        said["digest"] = _digest(said, rest)
        file.seek(0)
        file.write(packed_header.encode(said, PROMPT))
        file.write(rest)


def size_of(state: ModelState, tokens: int, places: int) -> int:
    """How long such a file is, about."""
    form = StoredState(state, tokens, range(1, places + 1))
    return BEGIN + 4 * (tokens + form.checks) + form.size


def _digest(said: dict[str, str], rest: bytes) -> str:
    told = json.dumps(said, sort_keys=True).encode(errors="surrogatepass")
    return hashlib.sha256(told + rest).hexdigest()
