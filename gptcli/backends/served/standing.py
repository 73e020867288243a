"""Whether what a server has read is still what stands on the disk.

A file is known by what the system says of it, see `gptcli.identity`, without the sample: the server
has held it to that when it opened it, and a process with little to do asks only whether it was
touched since.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gptcli.types.served import FileState

if TYPE_CHECKING:
    from gptcli.types.served import Greeting


def still_stands(name: str, greeting: Greeting) -> bool:
    """Whether a model of that name, opened now, would be what the server has."""
    if any(state_of(each.path) != each for each in greeting.stands_on):
        return False
    return greeting.path is None or _found(name) == greeting.path


def state_of(path: str | Path) -> FileState:
    """A file as it is now, or a directory, which changes with the names in it."""
    try:
        said = os.stat(path)  # noqa: PTH116 - Path is slower, and there are many
    except OSError:
        return FileState(os.fspath(path), None)
    size = said.st_size if not os.path.isdir(path) else 0  # noqa: PTH112
    return FileState(os.fspath(path), (size, said.st_mtime_ns, said.st_ctime_ns, said.st_ino))


def states_of(paths: Iterable[Path]) -> tuple[FileState, ...]:
    """All of them; of a directory, it and the files in it."""
    found: list[Path] = []
    for path in paths:
        found.append(path)
        if path.is_dir():
            found += sorted(each for each in path.iterdir() if each.is_file())
    return tuple(map(state_of, found))


def _found(name: str) -> str | None:
    from gptcli import models
    from gptcli.errors import GptcliError

    try:
        model = models.find(name)
    except GptcliError:
        return None
    return str(model.path) if model is not None else None
