"""Whether a model's files are what they should be."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import files
from gptcli.formats import json as jsonfile
from gptcli.formats.gguf import header as gguf_header
from gptcli.formats.gguf import index
from gptcli.formats.model_files import CONFIG, PACKED_TOKENIZER, TOKENIZER
from gptcli.formats.quantization import MODELOPT_FILE
from gptcli.formats.safetensors import header as weights_header
from gptcli.formats.safetensors import shards
from gptcli.formats.safetensors.shards import Shards
from gptcli.formats.stored import StoredTensor
from gptcli.formats.tokenizer_json.settings import COMPANIONS
from gptcli.models import disk, local, manifest
from gptcli.models import quantised_facts as quantised
from gptcli.types.events import Progress
from gptcli.types.models import ModelDir

_JSON = {
    CONFIG: jsonfile.CONFIG_LIMIT,
    "generation_config.json": jsonfile.CONFIG_LIMIT,
    MODELOPT_FILE: jsonfile.CONFIG_LIMIT,
    TOKENIZER: jsonfile.TOKENIZER_LIMIT,
    **dict.fromkeys(COMPANIONS, jsonfile.CONFIG_LIMIT),
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
    # Read once, although several checks are about it; what cannot be read is tried again.
    settings = functools.cache(jsonfile.read)
    header = functools.cache(weights_header.read)
    for name, limit in _JSON.items():
        path = directory / name
        if path.exists():
            yield _check(path, "parsed as JSON", partial(settings, path, limit))
        elif name == CONFIG or (name == TOKENIZER and not _made(directory)):
            yield Check(name, "is missing", "looked for")
    packed = directory / PACKED_TOKENIZER
    if packed.exists():
        yield _check(packed, "unpacked and parsed as JSON", partial(_unpacked, packed))
    if (directory / index.NAME).exists():
        how = "each tensor looked up in its file"
        yield _check(directory / index.NAME, how, partial(index.read, directory))
        for file in index.files_of(directory):
            how = "header checked against the file's size"
            yield _check(file, how, partial(gguf_header.read, file))
        return
    try:
        weights = shards.find(directory)
    except ModelError as error:
        yield Check(shards.INDEX, error.reason, "index of shards read")
        return
    for path in weights.files:
        yield _check(path, "header checked against the file's size", partial(header, path))

    def tensors() -> list[StoredTensor]:
        return [tensor for path in weights.files for tensor in header(path).values()]

    config = directory / CONFIG
    if config.is_file() and _is_quantised(partial(settings, config, _JSON[CONFIG])):
        how = "parts of each quantised weight looked up"
        yield _check(config, how, lambda: quantised.check(tensors()))
    if weights.index:
        how = "each tensor looked up in its shard"
        yield _check(directory / shards.INDEX, how, lambda: _indexed(weights, tensors()))


def _unpacked(path: Path) -> None:
    limit = jsonfile.TOKENIZER_LIMIT
    jsonfile.parse(files.unpacked(files.read(path, limit), path, limit), str(path))


def _made(directory: Path) -> bool:
    """Whether there is what a tokenizer.json can be made of."""
    return directory.is_dir() and local.has_tokenizer([entry.name for entry in directory.iterdir()])


def _is_quantised(read: Callable[[], dict[str, Any]]) -> bool:
    """What cannot be read is told of by other checks."""
    try:
        return quantised.config_of(read()) is not None
    except ModelError:
        return False


def _indexed(weights: Shards, tensors: Iterable[StoredTensor]) -> None:
    missing = sorted(weights.index.items() - {(each.name, each.file.name) for each in tensors})
    if missing:
        index = weights.files[0].with_name(shards.INDEX)
        raise ModelError(str(index), f"tensor {missing[0][0]} is not in {missing[0][1]}")


def _check(path: Path, how: str, read: Callable[[], object]) -> Check:
    try:
        read()
    except ModelError as error:
        return Check(path.name, error.reason, how)
    return Check(path.name, None, how)


def _manifest_file(path: Path, stored: manifest.StoredFile) -> Generator[Progress, None, Check]:
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
