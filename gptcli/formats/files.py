"""What a model directory may hold where a file is expected."""

from __future__ import annotations

from pathlib import Path

from gptcli.errors import ModelError


def refuse_special(path: Path) -> None:
    """Raise ModelError for a pipe, a device or a directory, from which a read might never end.

    A path at which there is nothing passes: whoever opens it says that in its own words.
    """
    if path.exists() and not path.is_file():
        raise ModelError(str(path), "is not a file")
