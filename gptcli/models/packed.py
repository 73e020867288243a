"""What the CPU kernels keep of models, packed: which files there are, of which models, how large.

They are written by the engine, which no list needs; see `formats.packed_header`. Beside them is
what is kept of large tokenizers, which does not say whose it is.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gptcli import config
from gptcli.formats import packed_header
from gptcli.formats.model_files import CONFIG
from gptcli.models import disk
from gptcli.plain import dataclass

_TOKENIZER = ".tokenizer"


@dataclass(frozen=True)
class PackedCopy:
    """A file of packed weights, of a tokenizer, or of what was computed of a prompt.

    directory: the model's, None where another version of gptcli wrote the file, or where nothing
    tells whose tokenizer it is; size in bytes; used: when it was last run from, or the prompt read
    or written, in seconds since 1970.
    """

    path: Path
    directory: Path | None
    size: int
    used: float

    @property
    def orphan(self) -> bool:
        """Whether there is no model any more that could be run from it."""
        if self.directory is None:
            return self.path.suffix != _TOKENIZER
        return not (self.directory / CONFIG).is_file()


def copies() -> list[PackedCopy]:
    """All of them, by name; a tokenizer is that of the packed weights beside it."""
    found = _found(config.packed_dir().glob("[!.]*"))
    whose = {_stem(copy.path): copy.directory for copy in found if copy.directory}
    return [replace(copy, directory=whose.get(_stem(copy.path))) for copy in found]


def of(directory: Path) -> list[PackedCopy]:
    """Those of one model directory, of each dtype that it was run in."""
    path = config.packed_weights(directory)
    return _found(path.parent.glob(f"{glob.escape(path.name)}.*"))


def remove(found: Iterable[PackedCopy]) -> int:
    """Removes files of packed weights; the bytes that frees. ResourceError where it cannot."""
    copies = list(found)
    freed = disk.removed(config.packed_dir(), ((copy.path, copy.size) for copy in copies))
    with disk.writing(config.packed_dir()):
        for copy in copies:
            packed_header.note(copy.path).unlink(missing_ok=True)
    return freed


def _found(paths: Iterable[Path]) -> list[PackedCopy]:
    found = []
    for path in sorted(paths):
        # A file may go while it is looked at; pipes are none of ours.
        with suppress(OSError):
            if path.suffix != packed_header.NOTE and path.is_file():
                found.append(_copy(path))
    return found


def _copy(path: Path) -> PackedCopy:
    with path.open("rb") as file:
        said = packed_header.read(file) or {}
    stat, directory = path.stat(), said.get("directory")
    used = stat.st_mtime
    with suppress(OSError):
        used = max(used, packed_header.note(path).stat().st_mtime)
    return PackedCopy(path, Path(directory) if directory else None, stat.st_size, used)


def _stem(path: Path) -> str:
    """The name that all files of a model begin with."""
    return path.name.removesuffix(path.suffix)
