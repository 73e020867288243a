"""gptcli's own models on disk: `<data dir>/models/<name>/`.

A model is made in `models/.staging/<name>/` and renamed into place when it is whole, under a
lock per name, so that nobody sees half a model and two processes do not make the same one twice.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from pathlib import Path

from gptcli import config
from gptcli.models import disk, manifest
from gptcli.types.events import Progress
from gptcli.types.models import ModelDir

#: Makes a model in the directory it is given; the last thing it writes is the manifest.
Make = Callable[[Path], Generator[Progress, None, None]]

_WAIT_SECONDS = 0.2


def root() -> Path:
    """The directory of all managed models, whether it exists or not."""
    return config.data_dir() / "models"


def find(name: str, called: str | None = None) -> ModelDir | None:
    """The managed model `name`, None if it is not there, not whole or of an older format.

    `called` is what the user called it, where that differs.
    """
    path = root() / name
    found = manifest.complete(path)
    if found is None:
        return None
    return ModelDir(called or name, path, found.source, managed=True, licence=found.licence)


def names() -> list[str]:
    """The managed models on this disk, by name; only directories with a manifest count."""
    place = root()
    if not place.is_dir():
        return []
    found = (path for path in place.iterdir() if not path.name.startswith("."))
    return sorted(path.name for path in found if (path / manifest.NAME).is_file())


def obtain(name: str, called: str, make: Make) -> Generator[Progress, None, ModelDir]:
    """The managed model `name`, made by `make` if it is not there.

    Waits, saying so, while another process makes it. Raises what `make` raises, and ResourceError
    where the data directory cannot be written.
    """
    found = find(name, called)
    if found:
        return found
    staging = root() / ".staging" / name
    with disk.writing(root()):
        staging.parent.mkdir(parents=True, exist_ok=True)
    release = yield from _lock(root() / ".staging" / f"{name}.lock", name)
    try:
        found = find(name, called)
        if found:
            return found
        with disk.writing(root()):
            # Under the lock, whatever lies here was left by a process that was killed.
            disk.clear(staging)
            staging.mkdir()
        try:
            with disk.writing(staging):
                yield from make(staging)
                _publish(staging, root() / name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    finally:
        release()
    found = find(name, called)
    assert found, f"{name} was made but is not whole"
    return found


def remove(name: str) -> int:
    """Removes a managed model; returns the bytes freed. Raises ResourceError if it cannot."""
    path = root() / name
    size = disk.size_of(path)
    gone = root() / ".staging" / f"{name}.removed"
    with disk.writing(path):
        gone.parent.mkdir(parents=True, exist_ok=True)
        disk.clear(gone)
        # Renamed first: a removal that is interrupted leaves no half of a model behind.
        path.rename(gone)
        disk.clear(gone)
    return size


def _publish(staging: Path, path: Path) -> None:
    if path.exists():
        old = staging.with_name(f"{staging.name}.old")
        disk.clear(old)
        path.rename(old)
        disk.clear(old)
    staging.rename(path)


def _lock(path: Path, name: str) -> Generator[Progress, None, Callable[[], object]]:
    import filelock

    # Not thread-local: a generator may be closed by another thread than the one that began it.
    lock = filelock.FileLock(path, thread_local=False)
    while True:
        try:
            lock.acquire(timeout=_WAIT_SECONDS)
            return lock.release
        except filelock.Timeout:
            yield Progress(f"waiting for another gptcli that is preparing {name}", 0)
