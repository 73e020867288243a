"""A user's own .gguf file, converted once into a managed model."""

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
    """The file as a model directory, converted if it has not been, or has changed since.

    Raises ModelError for a file that cannot be converted, ResourceError for a full disk.
    """
    name = managed_name(path)

    def make(staging: Path) -> Generator[Progress, None, None]:
        from gptcli.models.gguf.convert import convert

        yield from convert(path, staging, name, str(path.resolve()))

    return (yield from store.obtain(name, called, make))


def find(path: Path, called: str) -> ModelDir | None:
    """The converted model, None if the file as it is now was never converted."""
    return store.find(managed_name(path), called)


def managed_name(path: Path) -> str:
    """The managed model's name: the stem, and a digest of real paths, sizes and times of change.

    A file that is one part of several has the same name as any other of them.
    """
    digest, names = hashlib.sha256(), []
    try:
        for part in parts.paths(path):
            real = part.resolve(strict=True)
            stat = real.stat()
            identity = f"{real}\0{stat.st_size}\0{stat.st_mtime_ns}"
            digest.update(identity.encode(errors="surrogateescape"))
            # A link of a download cache may lead to a file that is named by its digest.
            names.append(parts.stem(part))
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror}") from None
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", names[0])[:60]
    return f"gguf-{stem}-{digest.hexdigest()[:8]}"
