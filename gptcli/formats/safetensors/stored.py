"""All that safetensors files hold, told from their headers, each of which is read once."""

from __future__ import annotations

from pathlib import Path

from gptcli import identity
from gptcli.errors import ModelError
from gptcli.formats.safetensors import header, shards
from gptcli.formats.stored import StoredFiles, StoredTensor


def read(directory: Path) -> StoredFiles:
    """The weights of a model directory.

    Raises ModelError for what `shards.find` and `header.read` do, for a file that is missing or
    lacks what the index says it holds, and for a tensor that is stored twice.
    """
    found = shards.find(directory)
    expected: dict[str, set[str]] = {}
    for name, shard in found.index.items():
        expected.setdefault(shard, set()).add(name)
    tensors: dict[str, StoredTensor] = {}
    for file in found.files:
        if not file.is_file():
            raise ModelError(str(file), "is missing")
    stamp = identity.stamp(found.files)
    for file in found.files:
        here = header.read(file)
        for name in sorted(expected.get(file.name, set()) - here.keys()):
            raise ModelError(str(file), f"lacks {name}, which the index says it holds")
        for name in sorted(here.keys() & tensors.keys()):
            other = tensors[name].file.name
            raise ModelError(str(file), f"{name} is stored twice (also in {other})")
        tensors |= here
    return StoredFiles(directory, found.files, tensors, stamp)


def read_one(file: Path) -> StoredFiles:
    """What one file holds, which is no model by itself. Raises ModelError as `header.read`."""
    return StoredFiles(file.parent, (file,), header.read(file))
