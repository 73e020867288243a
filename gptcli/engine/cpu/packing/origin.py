"""What packed weights are made of, and where they are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from gptcli import config
from gptcli.engine.describe import Described
from gptcli.plain import dataclass


@dataclass(frozen=True)
class Origin:
    """What weights are packed from: a model's directory, the files that store them, their stamp.

    reading: whatever else a packed number depends on, in words.
    """

    directory: Path
    files: Sequence[Path]
    stamp: str
    reading: str


def origin_of(described: Described, texts: Sequence[Sequence[int]] = ()) -> Origin:
    """That of a model; config.json and the rules say which number is which.

    texts: what columns are weighed by, see `calibration.rounding_for`.
    """
    rules = described.family.rules(described.spec)
    said = json.dumps(described.files.config, sort_keys=True)
    stored = described.stored
    reading = f"{rules} {said}{_told(texts)}"
    return Origin(described.directory, stored.files, stored.stamp, reading)


def packed_path(directory: Path, dtype: str, texts: Sequence[Sequence[int]] = ()) -> Path:
    """Where packed weights of a directory are kept, those for each calibration text apart."""
    path = config.packed_weights(directory)
    told = f"-{_told(texts)[:8]}" if texts else ""
    return path.with_name(f"{path.name}.{dtype}{told}")


def _told(texts: Sequence[Sequence[int]]) -> str:
    """Nothing for none."""
    if not texts:
        return ""
    return hashlib.sha256(json.dumps([list(each) for each in texts]).encode()).hexdigest()
