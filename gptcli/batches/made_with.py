"""The settings of batches that were finished, by the mark that is in the keys of their results.

An output tells by its keys that it was made with other settings, but not which: so that it can be
said, they are kept in the data directory, those of some last runs.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gptcli import atomic, config

#: Of so many runs.
_MOST = 200
#: Settings are some flags and digests; a file that has more is none of ours.
_LONGEST = 1 << 20


def remember(mark: str, settings: Mapping[str, Any], seed: int | None) -> None:
    """Keep them, where that can be: without, only their names are not told."""
    path = _path(mark)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps({**settings, "--seed": seed}).encode()
        atomic.replace(path, data, private=True)
        others = sorted(path.parent.glob("*.json"), key=lambda each: each.stat().st_mtime)
        for each in others[:-_MOST]:
            each.unlink(missing_ok=True)


def recalled(mark: str) -> dict[str, Any] | None:
    """The settings that have a mark, None where they are not known here."""
    try:
        with _path(mark).open("rb") as file:
            found = json.loads(file.read(_LONGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _path(mark: str) -> Path:
    return config.data_dir() / "batches" / f"{mark}.json"
