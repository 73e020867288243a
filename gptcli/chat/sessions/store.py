"""Sessions on disk: `<data dir>/sessions/<name>.json`, for their owner's eyes alone.

A session is written beside its place, flushed to the disk and renamed, so that whoever is killed
at any moment leaves the old state or the new one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from gptcli import atomic, config
from gptcli.chat.sessions.form import Session, decode, encode
from gptcli.chat.sessions.markdown import as_markdown, from_markdown, is_markdown
from gptcli.errors import InputError, ResourceError, UsageError
from gptcli.plain import dataclass

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Listed:
    """A session of the data directory; `problem` says why it cannot be read, None if it can."""

    name: str
    size: int
    session: Session | None
    problem: str | None = None


def directory() -> Path:
    """Where sessions live, whether it is there or not."""
    return config.data_dir() / "sessions"


def load(name: str) -> Session | None:
    """The session of that name, None where there is none. Raises InputError for a broken one."""
    path = _path(name)
    return read_file(path) if path.exists() else None


def exists(name: str) -> bool:
    """Whether there is a session of that name, whole or broken."""
    return os.path.lexists(_path(name))


def save(session: Session) -> None:
    """Keep it durably under its name. Raises ResourceError where the disk will not have it."""
    path = _path(session.name)
    _make_directory()
    write_file(path, session)


@contextmanager
def held(name: str) -> Iterator[None]:
    """The session for this process alone. Raises UsageError where another one has it."""
    path = _path(name)
    _make_directory()
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=0, mode=0o600)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise UsageError(f"session {name}", "is in use by another gptcli") from None
    except OSError as error:
        raise ResourceError(str(path.parent), error.strerror or str(error)) from None
    try:
        yield
    finally:
        lock.release()


def list_sessions() -> list[Listed]:
    """All sessions by name, also those that cannot be read."""
    return [_listed(_path(name)) for name in names()]


def names() -> list[str]:
    """The names of all sessions; none is read."""
    place = directory()
    found = sorted(path.stem for path in place.glob("*.json")) if place.is_dir() else []
    return [name for name in found if _NAME.fullmatch(name)]


def latest() -> str | None:
    """The name of the session that was written last, None where there is none."""
    return max(names(), key=lambda name: _path(name).stat().st_mtime_ns, default=None)


def _listed(path: Path) -> Listed:
    try:
        found = read_file(path)
    except InputError as error:
        size = path.stat().st_size if path.is_file() else 0
        return Listed(path.stem, size, None, error.reason)
    return Listed(path.stem, path.stat().st_size, found)


def remove(name: str) -> bool:
    """Forget a session; False where there was none."""
    path = _path(name)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ResourceError(str(path), error.strerror or str(error)) from None
    return True


def read_file(path: Path) -> Session:
    """The session in a file, JSON or Markdown by its name. Raises InputError for any other."""
    if path.exists() and not path.is_file():
        raise InputError(str(path), "is not a file")
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error)) from None
    if len(data) > _LARGEST:
        raise InputError(str(path), f"is larger than {_LARGEST >> 20} MiB")
    if not is_markdown(path):
        return decode(data, str(path))
    try:
        return from_markdown(data.decode(), str(path))
    except UnicodeDecodeError:
        raise InputError(str(path), "is not UTF-8") from None


def write_file(path: Path, session: Session) -> None:
    """Write it durably to any place, readable for its owner, as its name says.

    Raises ResourceError.
    """
    write_bytes(path, as_markdown(session).encode() if is_markdown(path) else encode(session))


def write_bytes(path: Path, data: bytes) -> None:
    """As `write_file`, for bytes of any form."""
    if path.exists() and not path.is_file():
        raise ResourceError(str(path), "is not a file")
    try:
        # What a link leads to is written, not put in the link's place.
        atomic.replace(path.resolve(), data, private=True)
    except OSError as error:
        raise ResourceError(str(path), error.strerror or str(error)) from None


def _path(name: str) -> Path:
    if not _NAME.fullmatch(name):
        reason = "can be no name: letters, digits, - _ and . can stand in one"
        raise UsageError(f"session {name!r}", reason)
    return directory() / f"{name}.json"


def _make_directory() -> None:
    try:
        directory().mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ResourceError(str(directory()), error.strerror or str(error)) from None
