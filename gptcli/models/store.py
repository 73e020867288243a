"""gptcli's own models on disk: `<data dir>/models/<name>/`.

A model is made beside its place and renamed when it is whole, under a lock per name, so that nobody
sees half a model and two processes do not make the same one twice. Before one is used its files are
held to the digests in its manifest, once: from then on a note in `models/.seen/` vouches for them
(see `gptcli.identity`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path

from gptcli import atomic, config, identity
from gptcli.errors import ModelError
from gptcli.models import disk, manifest
from gptcli.tasks import seen
from gptcli.types.events import Progress
from gptcli.types.models import ModelDir

#: Makes a model in the directory it is given; the last thing it writes is the manifest.
Make = Callable[[Path], Generator[Progress, None, None]]

_WAIT_SECONDS = 0.2


def root() -> Path:
    """The directory of all managed models, whether it exists or not."""
    return config.data_dir() / "models"


def find(name: str, called: str | None = None, *, of: Sequence[Path] = ()) -> ModelDir | None:
    """The managed model `name`, None if it is not there, not whole or of an older format.

    `called` is what the user called it, where that differs. of: the files it is to be made of;
    made of others, it is none.
    """
    path = root() / name
    found = manifest.complete(path)
    if found is None or (of and not made_of(path, of)):
        return None
    return ModelDir(called or name, path, found.source, managed=True, licence=found.licence)


def names() -> list[str]:
    """The managed models on this disk, by name; only directories with a manifest count."""
    place = root()
    if not place.is_dir():
        return []
    found = (path for path in place.iterdir() if not path.name.startswith("."))
    return sorted(path.name for path in found if (path / manifest.NAME).is_file())


def obtain(
    name: str, called: str, make: Make, *, of: Sequence[Path] = ()
) -> Generator[Progress, None, ModelDir]:
    """The managed model `name`, made by `make` if it is not there, or is broken; of: see `find`.

    Waits, saying so, while another process makes it. Raises what `make` raises, and ResourceError
    where the data directory cannot be written.
    """
    found = yield from sound(find(name, called, of=of))
    if found:
        return found
    with disk.writing(root()):
        _locks().mkdir(parents=True, exist_ok=True)
    release = yield from _lock(name)
    try:
        found = yield from sound(find(name, called, of=of))
        if found:
            return found
        with disk.writing(root()), atomic.replacing_directory(root() / name, over=True) as staging:
            yield from make(staging)
        found = find(name, called, of=of)
        if found is None:
            raise ModelError(name, "was changed while it was being made")
        # Hashed as it was written.
        identity.vouch(_note(name), *_state(found.path))
    finally:
        release()
    return found


def sound(found: ModelDir | None) -> Generator[Progress, None, ModelDir | None]:
    """The managed model if its files are what was written, else None."""
    if found is None:
        return None
    what, stamp = _state(found.path)
    if identity.vouched(_note(found.path.name), what, stamp):
        return found
    made = manifest.complete(found.path)
    if made is None:
        return None
    # Told as one: whoever cannot keep the note, in a directory of others', sees it each time.
    done, total = 0, sum(stored.size for stored in made.files.values())
    for name, stored in made.files.items():
        digest = disk.sha256(found.path / name, f"checking {found.path.name}")
        of_all = partial(_of_all, done, total)
        if (yield from seen(digest, of_all)) != stored.sha256:
            return None
        done += stored.size
    if _state(found.path) == (what, stamp):
        identity.vouch(_note(found.path.name), what, stamp)
    return found


def _of_all(done: int, total: int, step: Progress) -> Progress:
    """A step of work that is a part of more, before which so much was done."""
    return Progress(step.label, done + step.done, total)


def remove(name: str) -> int | None:
    """Removes a managed model; the bytes freed, None where it is not there (any more).

    Raises ResourceError if it cannot.
    """
    import filelock

    path = root() / name
    with disk.writing(path):
        _locks().mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(_locks() / f"{name}.lock"):
            size = disk.size_of(path)
            try:
                atomic.discard(path)
            except FileNotFoundError:
                return None
            _note(name).unlink(missing_ok=True)
    return size


def made_of(path: Path, files: Sequence[Path]) -> bool:
    """Whether a model's directory was made of these files as they are now.

    What cannot be vouched for is made anew, which takes no longer than to find that out.
    """
    found = manifest.complete(path)
    try:
        return found is not None and found.stamp == identity.settled(files)
    except OSError:
        return False


def _state(path: Path) -> tuple[str, str]:
    """What a model's files should be, and the stamp of what they are."""
    said = hashlib.sha256((path / manifest.NAME).read_bytes()).hexdigest()
    files = sorted(each for each in path.iterdir() if each.name != manifest.NAME)
    return said, identity.stamp(files)


def _note(name: str) -> Path:
    return root() / ".seen" / name


def _locks() -> Path:
    return root() / ".locks"


def _lock(name: str) -> Generator[Progress, None, Callable[[], object]]:
    import filelock

    # Not thread-local: a generator may be closed by another thread than the one that began it.
    lock = filelock.FileLock(_locks() / f"{name}.lock", thread_local=False)
    while True:
        try:
            lock.acquire(timeout=_WAIT_SECONDS)
            return lock.release
        except filelock.Timeout:
            yield Progress(f"waiting for another gptcli that is preparing {name}", 0)
