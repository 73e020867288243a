"""Removing models: gptcli's own, and snapshots in the hub's cache; never a user's own files."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gptcli.errors import ModelError, UsageError
from gptcli.models import disk, hub_cache, hub_download, local_gguf, packed, prompts, store
from gptcli.models.hub_cache import Repo
from gptcli.models.hub_variants import choose
from gptcli.models.resolve import Directory, Foreign, Gguf, Managed, Wheel, resolve


@dataclass(frozen=True)
class Removed:
    """What was removed, and how many bytes that freed.

    stays: the file or directory of the user's of which gptcli kept what was removed.
    """

    name: str
    path: Path
    freed: int
    stays: Path | None = None


def remove(name: str) -> Removed:
    """Removes a model from this disk.

    Of a user's own file or directory, or another tool's, it is what gptcli keeps beside it that
    goes. Raises UsageError for a directory of which it keeps nothing, ModelError for a model that
    is not here, ResourceError where files cannot be removed.
    """
    match resolve(name):
        case Wheel(key, _) | Managed(key):
            return _managed(key, name)
        case Gguf(path):
            return replace(_managed(local_gguf.managed_name(path), name), stays=path)
        case Repo() as repo:
            return _variant(repo, name) if repo.variant else _repo(repo, name)
        case Foreign(kept, key):
            path, _ = kept.find(key)
            if path.is_dir():
                raise UsageError(name, f"is {kept.tool}'s, gptcli does not delete it")
            return replace(_managed(local_gguf.managed_name(path), name), stays=path)
        case Directory(path):
            if path.resolve().parent == store.root().resolve() and path.name in store.names():
                return _managed(path.name, name)
            if not (packed.of(path) or prompts.of(path)):
                reason = "is your own directory, of which gptcli keeps nothing"
                raise UsageError(str(path), f"{reason} and which it does not delete")
            return Removed(name, path, _made_of(path), stays=path)


def _made_of(path: Path) -> int:
    """Removes packed weights and kept prompts of a directory; the bytes that frees."""
    return packed.remove(packed.of(path)) + prompts.remove(prompts.of(path))


def _managed(key: str, name: str) -> Removed:
    if key not in store.names():
        raise _absent(name)
    path = store.root() / key
    freed, gone = _made_of(path), store.remove(key)
    if gone is None:
        raise _absent(name)
    return Removed(name, path, freed + gone)


def _variant(repo: Repo, name: str) -> Removed:
    """One GGUF variant: its files, what was made of them, and the snapshot with the last of it."""
    place, found = hub_cache.snapshot(repo), choose(hub_cache.gguf(repo), repo.variant)
    if place is None or found is None:
        raise _absent(name)
    freed = _converted(place / found.files[0])
    with disk.writing(place):
        for each in found.files:
            freed += _blob(repo, place / each)
    if not (hub_cache.gguf(repo) or hub_cache.whole(place)):
        freed += _repo(replace(repo, variant=""), name).freed
    return Removed(name, place / found.files[0], freed)


def _converted(path: Path) -> int:
    """Removes what was made of a GGUF file, if anything was; the bytes that frees."""
    with suppress(ModelError):
        return _managed(local_gguf.managed_name(path), str(path)).freed
    return 0


def _blob(repo: Repo, link: Path) -> int:
    """Removes a snapshot's file, and its blob unless another revision has it; the bytes freed."""
    blob = link.parent / link.readlink() if link.is_symlink() else link
    blob = Path(os.path.normpath(blob))
    link.unlink()
    others = (repo.folder / "snapshots").rglob(link.name)
    if any(other.is_symlink() and other.readlink().name == blob.name for other in others):
        return 0
    freed = 0
    with suppress(FileNotFoundError):  # it was the link's own file
        freed = blob.lstat().st_size
        blob.unlink()
    return freed


def _repo(repo: Repo, name: str) -> Removed:
    path, left = hub_cache.snapshot(repo), hub_download.sweep(repo, every=True)
    if path is None:
        if left:
            return Removed(name, repo.folder, left)
        raise _absent(name)
    freed = left + _made_of(path)
    freed += sum(_converted(path / each.files[0]) for each in hub_cache.gguf(repo))
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
