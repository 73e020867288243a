"""A user's own .gguf file as a model: what it says beside its weights, which stay there."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator
from pathlib import Path

from gptcli.errors import ModelError
from gptcli.formats.gguf import parts
from gptcli.models import store
from gptcli.types.events import Progress
from gptcli.types.models import ModelDir


def obtain(path: Path, called: str) -> Generator[Progress, None, ModelDir]:
    """The file as a model directory, made if it has not been, or the file has changed since.

    Raises ModelError for a file that is no model, ResourceError for a full disk.
    """
    name, files = managed_name(path), _files(path)

    def make(staging: Path) -> Generator[Progress, None, None]:
        from gptcli.models.gguf import in_place

        yield Progress(f"reading {path.name}", 0)
        in_place.write(path, files, staging, name, str(path.resolve()))
        if not store.made_of(staging, files):
            raise ModelError(str(path), "was changed while it was being read")

    return (yield from store.obtain(name, called, make, of=files))


def find(path: Path, called: str) -> ModelDir | None:
    """The model of the file, None if none was made of it as it is now."""
    return store.find(managed_name(path), called, of=_files(path))


def _files(path: Path) -> list[Path]:
    """The file and its other parts. Raises ModelError for one that is missing."""
    return [part.absolute() for part in parts.paths(path)]


def managed_name(path: Path) -> str:
    """The managed model's name: the stem, and a digest of real paths, sizes and times of change.

    That names a model; whether it was made of what is in the file now is another question. A file
    that is one part of several has the same name as any other of them.
    """
    digest, names = hashlib.sha256(), []
    try:
        for part in parts.paths(path):
            real = part.resolve(strict=True)
            stat = real.stat()
            said = f"{real}\0{stat.st_size}\0{stat.st_mtime_ns}"
            digest.update(said.encode(errors="surrogateescape"))
            # A link of a download cache may lead to a file that is named by its digest.
            names.append(parts.stem(part))
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror}") from None
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", names[0])[:60]
    return f"gguf-{stem}-{digest.hexdigest()[:8]}"
