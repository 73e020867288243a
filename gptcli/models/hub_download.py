"""One file of a repository into the hub's cache; what is large goes on where it was broken off.

huggingface_hub begins anew each time: what it writes in has a name of its own, and is removed where
a download fails. So the bytes of a large file come here, by the library's own HTTP client and into
the name that it used to resume from, `blobs/<etag>.incomplete`; then the library finds the whole
file and puts it into its place.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gptcli.errors import NetworkError
from gptcli.models import disk, hub_answers, hub_cache
from gptcli.models.hub_answers import SHA256, TIMEOUT_SECONDS
from gptcli.models.hub_cache import Repo
from gptcli.types.events import Progress

#: Bytes from which on it is worth another question to the hub to be able to go on.
RESUMED = 8 << 20
_POLL_SECONDS = 0.1
_CANCEL_SECONDS = 2
_CHUNK = 1 << 20
_END = ".incomplete"
#: What another process that was killed left under a name that is never resumed.
_OLD_SECONDS = 24 * 3600


class _CancelledError(Exception):
    """Ends a download from inside its progress bar."""


def fetch(
    repo: Repo, name: str, commit: str, size: int | None, before: int, total: int | None
) -> Generator[Progress, None, Path]:
    """One file of the commit, of `size` bytes as the hub says; `before` bytes were fetched earlier.

    Returns its path in the snapshot. Raises the library's errors, and NetworkError where what came
    is not what was announced.
    """
    worker = _Worker(repo, name, commit, size)
    label = f"fetching {repo}"
    worker.start()
    try:
        while worker.is_alive():
            worker.join(_POLL_SECONDS)
            yield Progress(label, before + min(worker.done, size or 0), total)
    finally:
        worker.cancel()
        worker.join(_CANCEL_SECONDS)
    if worker.error is not None:
        raise worker.error
    assert worker.path is not None
    yield Progress(label, before + (size or 0), total)
    return worker.path


def begun(repo: Repo, digests: Iterable[str]) -> int:
    """Bytes that are here of files with these digests, which a download would go on with."""
    return sum(_size(repo.folder / "blobs" / f"{digest}{_END}") for digest in digests)


def sweep(repo: Repo, *, every: bool = False) -> int:
    """Remove what is left of downloads that nobody goes on with; the bytes that frees.

    every: also what could be gone on with. What the library writes in is left alone for a day.
    """
    freed, old = 0, time.time() - _OLD_SECONDS
    for path in list((repo.folder / "blobs").glob(f"*{_END}")):
        with suppress(OSError):
            stat = path.stat()
            if every or ("." in path.stem and stat.st_mtime < old):
                path.unlink()
                freed += stat.st_size
    return freed


class _Worker(threading.Thread):
    """Downloads one file. A daemon, so that a stalled connection cannot hold up the exit."""

    def __init__(self, repo: Repo, name: str, commit: str, size: int | None) -> None:
        super().__init__(name=f"fetch {name}", daemon=True)
        self.path: Path | None = None
        self.error: Exception | None = None
        self.done = 0
        self._wanted = (repo, name, commit, size)
        self._stop_now = threading.Event()

    def cancel(self) -> None:
        """Lets the download end at its next piece of data."""
        self._stop_now.set()

    def run(self) -> None:
        """Downloads; leaves either `path` or `error`."""
        from huggingface_hub import hf_hub_download

        repo, name, commit, size = self._wanted
        try:
            with hub_answers.understood(repo):
                if size is not None and size >= RESUMED:
                    self._resumable(repo, name, commit, size)
                path = hf_hub_download(
                    repo.id,
                    name,
                    revision=commit,
                    cache_dir=hub_cache.cache(),
                    etag_timeout=TIMEOUT_SECONDS,
                    tqdm_class=self._bar(),
                )
            self.path = Path(path)
        except Exception as error:  # carried to the thread that waits
            self.error = error

    def _resumable(self, repo: Repo, name: str, commit: str, size: int) -> None:
        """Brings the blob of a file, unless it is there."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        if (repo.folder / "snapshots" / commit / name).exists():
            return
        url, headers = hf_hub_url(repo.id, name, revision=commit), build_hf_headers()
        found = get_hf_file_metadata(url, headers=headers, timeout=TIMEOUT_SECONDS)
        if found.etag is None or found.size != size:
            return  # the library's own way says what is wrong with that
        blob = repo.folder / "blobs" / found.etag
        partial = blob.with_name(blob.name + _END)
        blob.parent.mkdir(parents=True, exist_ok=True)
        with self._alone(repo, blob.name):
            if blob.exists():
                return
            # Written at its place, not appended: another's lock may not hold on some file systems.
            with partial.open("r+b" if partial.exists() else "w+b") as file:
                have = file.seek(0, 2)
                if have > size:
                    have = file.truncate(0)
                    file.seek(0)
                self.done = have
                bar = self._bar()
                try:
                    http_get(
                        url,
                        file,
                        resume_size=have,
                        headers=headers,
                        expected_size=size,
                        tqdm_class=bar,
                    )
                except OSError as error:
                    if disk.full(error):
                        partial.unlink()
                    raise
            if have and not self._is(partial, found.etag):
                partial.unlink()
                raise NetworkError(
                    f"{repo} {name}", "the download broke off or was altered", "try again"
                )
            partial.replace(blob)

    def _is(self, path: Path, etag: str) -> bool:
        """Whether what two downloads made together is what the hub has."""
        if not SHA256.fullmatch(etag):
            return True
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                self._check()
                digest.update(chunk)
        return digest.hexdigest() == etag

    @contextmanager
    def _alone(self, repo: Repo, etag: str) -> Generator[None, None, None]:
        """One process writes a blob at a time: the lock is the library's."""
        import filelock

        place = hub_cache.cache() / ".locks" / repo.folder.name
        place.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(place / f"{etag}.lock")
        while True:
            self._check()
            with suppress(filelock.Timeout):
                lock.acquire(timeout=_POLL_SECONDS)
                break
        try:
            yield
        finally:
            lock.release()

    def _check(self) -> None:
        if self._stop_now.is_set():
            raise _CancelledError

    def _bar(self) -> Any:
        """What silences the library's own progress bar, counts, and ends a download by it."""
        from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

        worker = self

        class Silent(tqdm):
            """Shows nothing; raises in the download that feeds it once that is to end."""

            def __init__(self, *args: object, **options: object) -> None:
                super().__init__(  # type: ignore[no-untyped-call]
                    *args, **{**options, "disable": True}
                )

            def update(self, n: float = 1) -> None:
                """Counts `n` more bytes as here."""
                worker._check()
                worker.done += int(n)
                super().update(n)

        return Silent


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        # Not begun, or renamed into place since it was listed.
        return 0
