"""Whether a model's files are what they should be."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.formats.safetensors import header as weights_header
from gptcli.formats.safetensors import shards
from gptcli.models import disk, local, manifest
from gptcli.models import quantised_facts as quantised
from gptcli.types.events import Progress
from gptcli.types.models import ModelDir

_JSON = {
    local.CONFIG: jsonfile.CONFIG_LIMIT,
    "generation_config.json": jsonfile.CONFIG_LIMIT,
    local.TOKENIZER: jsonfile.TOKENIZER_LIMIT,
    "tokenizer_config.json": jsonfile.CONFIG_LIMIT,
}


@dataclass(frozen=True)
class Check:
    """One file, what is wrong with it (None: nothing) and how that was found out."""

    file: str
    problem: str | None
    how: str


@dataclass(frozen=True)
class Verdict:
    """All checks of a model."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether no check found a problem."""
        return all(check.problem is None for check in self.checks)


def verify(model: ModelDir) -> Generator[Progress, None, Verdict]:
    """Checks every file of a model; the generator's return value is the Verdict.

    gptcli's own models are held to the digests in their manifest, snapshots of the hub to the
    digests that name their blobs; of any model the JSON and the headers of the weights are read.
    """
    checks = list(_forms(model.path))
    try:
        own = manifest.read(model.path)
    except ModelError as error:
        own = None
        checks.append(Check(manifest.NAME, error.reason, "read as a manifest"))
    if own is not None:
        for name, stored in own.files.items():
            checks.append((yield from _manifest_file(model.path / name, stored)))
    elif _is_snapshot(model.path):
        for path in sorted(model.path.iterdir()):
            if path.is_symlink():
                checks.append((yield from _blob(path)))
    return Verdict(tuple(checks))


def _forms(directory: Path) -> Iterator[Check]:
    for name, limit in _JSON.items():
        path = directory / name
        if path.exists():
            yield _check(path, "parsed as JSON", partial(jsonfile.read, path, limit))
        elif name == local.CONFIG or (name == local.TOKENIZER and not _made(directory)):
            yield Check(name, "is missing", "looked for")
    try:
        weights = shards.files(directory)
    except ModelError as error:
        yield Check(shards.INDEX, error.reason, "index of shards read")
        return
    for path in weights:
        yield _check(
            path,
            "header checked against the file's size",
            partial(weights_header.read, path),
        )
    if (directory / local.CONFIG).is_file():
        yield from _quantised(directory)
    if not (directory / shards.WEIGHTS).is_file():
        yield _check(
            directory / shards.INDEX,
            "each tensor looked up in its shard",
            partial(_indexed, directory),
        )


def _made(directory: Path) -> bool:
    """Whether there is what a tokenizer.json can be made of."""
    return directory.is_dir() and local.has_tokenizer([entry.name for entry in directory.iterdir()])


def _quantised(directory: Path) -> Iterator[Check]:
    """Only where there is something to say; what cannot be read is told of by other checks."""
    path = directory / local.CONFIG
    try:
        found = quantised.config_of(jsonfile.read(path))
    except ModelError:
        return
    if found is not None:
        how = "parts of each quantised weight looked up"
        yield _check(path, how, partial(quantised.check, directory))


def _indexed(directory: Path) -> None:
    index = directory / shards.INDEX
    wanted = shards.weight_map(index)
    there = {
        (name, path.name) for path in shards.files(directory) for name in weights_header.read(path)
    }
    missing = sorted(wanted.items() - there)
    if missing:
        raise ModelError(str(index), f"tensor {missing[0][0]} is not in {missing[0][1]}")


def _check(path: Path, how: str, read: Callable[[], object]) -> Check:
    try:
        read()
    except ModelError as error:
        return Check(path.name, error.reason, how)
    return Check(path.name, None, how)


def _manifest_file(path: Path, stored: manifest.Stored) -> Generator[Progress, None, Check]:
    how = "SHA-256 compared with the manifest"
    if not path.is_file():
        return Check(path.name, "is missing", how)
    if path.stat().st_size != stored.size:
        return Check(path.name, f"is {path.stat().st_size} bytes long, not {stored.size}", how)
    found = yield from disk.sha256(path, f"checking {path.name}")
    return Check(path.name, None if found == stored.sha256 else "has changed", how)


def _is_snapshot(directory: Path) -> bool:
    return directory.parent.name == "snapshots" and directory.parents[1].name.startswith("models--")


def _blob(path: Path) -> Generator[Progress, None, Check]:
    """A snapshot's link: large blobs are named by their SHA-256, small ones as git names them."""
    name, label = path.readlink().name, f"checking {path.name}"
    if not path.is_file():
        return Check(path.name, "is missing", "link into the cache followed")
    if re.fullmatch(r"[0-9a-f]{64}", name):
        found = yield from disk.sha256(path, label)
        how = "SHA-256 compared with the blob's name"
    elif re.fullmatch(r"[0-9a-f]{40}", name):
        found = yield from disk.git_blob(path, label)
        how = "git's SHA-1 compared with the blob's name"
    else:
        return Check(path.name, None, "has no digest to compare with")
    return Check(path.name, None if found == name else "has changed", how)
