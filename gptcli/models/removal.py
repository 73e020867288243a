"""Removing models: gptcli's own, and snapshots in the hub's cache; never a user's own files."""

from __future__ import annotations

import glob
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gptcli import config
from gptcli.errors import ModelError, UsageError
from gptcli.models import disk, hub_cache, local_gguf, store
from gptcli.models.hub_cache import Repo
from gptcli.models.resolve import Directory, Gguf, Managed, Wheel, resolve


@dataclass(frozen=True)
class Removed:
    """What was removed, and how many bytes that freed."""

    name: str
    path: Path
    freed: int


def remove(name: str) -> Removed:
    """Removes a model from this disk.

    For a .gguf file it is the converted copy that goes. Raises UsageError for a user's own
    directory, ModelError for a model that is not here, ResourceError where files stay.
    """
    match resolve(name):
        case Wheel(key, _) | Managed(key):
            return _managed(key, name)
        case Gguf(path):
            return _managed(local_gguf.managed_name(path), name)
        case Repo() as repo:
            return _repo(repo, name)
        case Directory(path):
            if path.resolve().parent == store.root().resolve() and path.name in store.names():
                return _managed(path.name, name)
            raise UsageError(str(path), "is your own directory, gptcli does not delete it")


def _managed(key: str, name: str) -> Removed:
    if key not in store.names():
        raise _absent(name)
    path = store.root() / key
    freed, gone = _packed(path), store.remove(key)
    if gone is None:
        raise _absent(name)
    return Removed(name, path, freed + gone)


def _packed(path: Path) -> int:
    """Removes what the CPU kernels keep of a model directory; the bytes that frees."""
    kept = config.packed_weights(path)
    freed = 0
    with disk.writing(kept.parent):
        for file in kept.parent.glob(f"{glob.escape(kept.name)}.*"):
            with suppress(FileNotFoundError):  # another removal was faster
                freed += file.stat().st_size
                file.unlink()
    return freed


def _repo(repo: Repo, name: str) -> Removed:
    path = hub_cache.snapshot(repo)
    if path is None:
        raise _absent(name)
    freed = _packed(path)
    from huggingface_hub import scan_cache_dir

    with disk.writing(path):
        try:
            plan = scan_cache_dir(hub_cache.cache()).delete_revisions(path.name)
            plan.execute()
        except FileNotFoundError:
            if path.exists():
                raise
            raise _absent(name) from None
    if path.exists():
        raise ModelError(str(path), "could not be removed")
    return Removed(name, path, freed + plan.expected_freed_size)


def _absent(name: str) -> ModelError:
    return ModelError(name, "is not on this disk")
