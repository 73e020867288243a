"""The file of a tree, and whether all of it is there."""

from __future__ import annotations

import time
from pathlib import Path

from gptcli import config
from gptcli.errors import UsageError
from gptcli.loom import Tale, write_file


class Keeper:
    """Knows the file, None where there is none yet, and what of the tree it holds."""

    def __init__(self, tale: Tale, path: Path | None) -> None:
        """The tree as it was read from the file, or a new one."""
        self._tale, self.path = tale, path
        self._saved = tale.version
        self._seen = None if path is None else _state(path)

    @property
    def unsaved(self) -> bool:
        """Whether something would be lost: a prompt alone is not worth a file."""
        begun = self.path is not None or len(self._tale.nodes) > 1
        return begun and self._tale.version != self._saved

    def save(self) -> None:
        """Write the file. Raises ResourceError, and UsageError where another has written it."""
        if self.path is None:
            raise UsageError("loom", "has no file yet")
        if _state(self.path) != self._seen:
            raise UsageError(str(self.path), "was changed meanwhile", "S saves to another file")
        write_file(self.path, self._tale)
        self._seen, self._saved = _state(self.path), self._tale.version

    def save_as(self, path: Path) -> None:
        """The same in another file, which is the tree's from then on. No file is overwritten."""
        if _state(path) is not None:
            raise UsageError(str(path), "is there already", "loom --save opens it")
        before = self.path, self._seen
        self.path, self._seen = path, None
        try:
            self.save()
        except BaseException:
            self.path, self._seen = before
            raise

    def rescue(self) -> Path:
        """Save it somewhere, when nobody can be asked any more; where to."""
        if self.path is not None and _state(self.path) == self._seen:
            self.save()
            return self.path
        place = config.data_dir() / "loom"
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = place / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{time.time_ns() % 10**6:06d}.json"
        self.save_as(path)
        return path

    def forget(self) -> None:
        """What is not saved is not wanted."""
        self._saved = self._tale.version


def _state(path: Path) -> tuple[int, int, int] | None:
    """What tells a file from what another program makes of it; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
