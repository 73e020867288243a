"""How much of a directory kept prompts take."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

#: How the names of their files end.
END = ".prompt"
#: The most files of a directory, however small: a look at each is a part of every start.
MOST_FILES = 200


def trim(directory: Path, most: int) -> None:
    """Remove kept prompts, those first that were not used for longest, until they are so small."""
    found = []
    with os.scandir(directory) as entries:
        for each in entries:
            with suppress(OSError):
                said = each.stat(follow_symlinks=False)
                if each.name.endswith(END) and stat.S_ISREG(said.st_mode):
                    found.append((said.st_mtime_ns, said.st_size, Path(each.path)))
    total, count = sum(size for _, size, _ in found), len(found)
    for _, size, path in sorted(found):
        if total <= most and count <= MOST_FILES:
            return
        with suppress(OSError):
            path.unlink()
            total, count = total - size, count - 1
