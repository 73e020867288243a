"""`gptcli.json`: what gptcli put into a model directory, and from where."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gptcli
from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.plain import dataclass

NAME = "gptcli.json"
#: Raised when what stands in such a directory changes; older directories are then made again.
FORMAT = 3


@dataclass(frozen=True)
class StoredFile:
    """One file: SHA-256 in hex and size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """Where a managed model came from, its licence (None: unknown) and its files.

    stamp: the `identity.stamp` of the GGUF files that its weights are read from, None where it has
    weights of its own.
    """

    name: str
    source: str
    licence: str | None
    files: dict[str, StoredFile]
    stamp: str | None = None


def write(directory: Path, manifest: Manifest) -> None:
    """Writes `gptcli.json` into `directory`."""
    found: dict[str, Any] = {"format": FORMAT, **asdict(manifest)}
    found["converted_by"] = f"gptcli {gptcli.__version__}"
    (directory / NAME).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def read(directory: Path) -> Manifest | None:
    """The manifest of `directory`, None if there is none or it is of another format.

    Raises ModelError for one that cannot be understood.
    """
    path = directory / NAME
    if not path.is_file():
        return None
    found = jsonfile.read(path)
    if found.get("format") != FORMAT:
        return None
    try:
        files = {_plain(name): _stored(entry) for name, entry in found["files"].items()}
        licence, stamp = found["licence"], found.get("stamp")
        name, source = str(found["name"]), str(found["source"])
        return Manifest(name, source, licence and str(licence), files, stamp and str(stamp))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ModelError(str(path), f"is not a manifest of gptcli: {error!r}") from None


def complete(directory: Path) -> Manifest | None:
    """The manifest, if every file it names is there with its size; digests are `verify`'s work.

    One that cannot be understood is none: the model is then made anew.
    """
    try:
        manifest = read(directory)
    except ModelError:
        return None
    if manifest is None:
        return None
    for name, stored in manifest.files.items():
        path = directory / name
        if not path.is_file() or path.stat().st_size != stored.size:
            return None
    return manifest


def _plain(name: str) -> str:
    if Path(name).name != name:
        raise ValueError(f"{name!r} is not a file name")
    return name


def _stored(entry: dict[str, Any]) -> StoredFile:
    return StoredFile(str(entry["sha256"]), int(entry["size"]))
