"""What `--prompt-cache auto` keeps of prompts: which files there are, of which models, how large.

They are written by the engine, which no list needs; see `formats.packed_header`.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gptcli import config
from gptcli.formats import packed_header
from gptcli.models import disk
from gptcli.models.packed import PackedCopy


def kept() -> list[PackedCopy]:
    """All of them, by name."""
    found = []
    for path in sorted(config.prompts_dir().glob("[!.]*.prompt")):
        # A file may go while it is looked at; links and pipes are none of ours.
        with suppress(OSError):
            said = path.lstat()
            if not stat.S_ISREG(said.st_mode):
                continue
            with path.open("rb") as file:
                head = packed_header.read(file, packed_header.PROMPT) or {}
            directory = head.get("directory")
            whose = Path(directory) if directory else None
            found.append(PackedCopy(path, whose, said.st_size, said.st_mtime))
    return found


def of(directory: Path) -> list[PackedCopy]:
    """Those of one model directory."""
    return [each for each in kept() if each.directory == directory.resolve()]


def remove(found: Iterable[PackedCopy]) -> int:
    """Removes such files; the bytes that frees. ResourceError where it cannot."""
    return disk.removed(config.prompts_dir(), ((each.path, each.size) for each in found))
