"""Models from the Hugging Face hub, through huggingface_hub and into its own cache.

Only what a model needs is fetched, the weights last; `HF_HUB_OFFLINE`, `HF_TOKEN`, `HF_HOME` and
`HF_ENDPOINT` mean what they mean to that library.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

from gptcli import atomic
from gptcli.errors import ModelError
from gptcli.formats.model_files import CONFIG
from gptcli.formats.safetensors import shards
from gptcli.formats.tokenizer_json import reading
from gptcli.formats.tokenizer_json.settings import COMPANIONS
from gptcli.models import disk, hub_answers, hub_cache, hub_errors, local
from gptcli.models.hub_answers import TIMEOUT_SECONDS, Listing
from gptcli.models.hub_cache import Repo
from gptcli.types.events import Progress
from gptcli.types.models import ModelDir

#: Small files, in the order they are fetched.
_SMALL = (
    "config.json",
    "generation_config.json",
    local.TOKENIZER,
    *COMPANIONS,
    "chat_template.jinja",
    "README.md",
)
_POLL_SECONDS = 0.1
_CANCEL_SECONDS = 2


class _CancelledError(Exception):
    """Ends a download from inside its progress bar."""


def obtain(repo: Repo, called: str) -> Generator[Progress, None, ModelDir]:
    """The repository's snapshot, fetched where it is not in the cache.

    Raises NetworkError where the hub cannot be reached, ModelError for a repository, revision or
    kind of weights that cannot be had, ResourceError where the cache cannot be written.
    """
    found = hub_cache.find(repo, called)
    if found:
        return found
    yield Progress(f"looking up {repo} on the hub", 0)
    with hub_errors.translated(repo):
        _quiet()
        hub_answers.guard()
        listing = hub_answers.listing(repo)
        yield from _fetch_all(repo, listing)
    found = hub_cache.find(repo, called)
    if found is None:
        raise ModelError(str(repo), "is incomplete on the hub")
    return found


def _fetch_all(repo: Repo, listing: Listing) -> Generator[Progress, None, None]:
    _refuse(repo, listing)
    names = [name for name in _SMALL if name in listing.files]
    if local.TOKENIZER not in listing.files:
        names += reading.sources(listing.files)
    weights = [shards.WEIGHTS]
    if shards.WEIGHTS not in listing.files:
        index = yield from _fetch(repo, shards.INDEX, listing, 0, None)
        weights = sorted(set(shards.weight_map(index).values()))
        missing = [name for name in weights if name not in listing.files]
        if missing:
            raise ModelError(str(repo), f"lacks {missing[0]}, which its index names")
    names += weights
    sizes = [listing.files[name] or 0 for name in names]
    total = sum(sizes)
    have = snapshot_bytes(repo, listing.commit, names)
    disk.need_space(hub_cache.cache(), total - have)
    done = 0
    for name, size in zip(names, sizes, strict=True):
        yield from _fetch(repo, name, listing, done, total)
        done += size
    if repo.revision != listing.commit:
        _note_revision(repo, listing.commit)


def _refuse(repo: Repo, listing: Listing) -> None:
    """Raises ModelError before anything big is fetched from a repository that is of no use."""
    names = set(listing.files)
    if CONFIG not in names:
        raise ModelError(str(repo), f"has no {CONFIG}: it is not a transformers model")
    if not {shards.WEIGHTS, shards.INDEX} & names:
        if any(name.endswith(shards.PICKLES) for name in names):
            raise ModelError(str(repo), shards.NO_PICKLES, "look for a safetensors version")
        raise ModelError(str(repo), "has no safetensors weights")
    if not local.has_tokenizer(names):
        raise ModelError(str(repo), f"has no {local.TOKENIZER}")


def snapshot_bytes(repo: Repo, commit: str, names: list[str]) -> int:
    """Bytes of those files that are in the cache already."""
    place = repo.folder / "snapshots" / commit
    return sum((place / name).stat().st_size for name in names if (place / name).exists())


def _fetch(
    repo: Repo, name: str, listing: Listing, before: int, total: int | None
) -> Generator[Progress, None, Path]:
    """One file of the commit; `before` bytes were fetched earlier."""
    blobs = repo.folder / "blobs"
    old = set(blobs.glob("*.incomplete"))
    worker = _Worker(repo, name, listing.commit)
    size = listing.files.get(name) or 0
    label = f"fetching {repo}"
    worker.start()
    try:
        while worker.is_alive():
            worker.join(_POLL_SECONDS)
            growing = max(map(_size, blobs.glob("*.incomplete")), default=0)
            yield Progress(label, before + min(growing, size), total)
    finally:
        worker.cancel()
        worker.join(_CANCEL_SECONDS)
        if worker.path is None:
            _sweep(set(blobs.glob("*.incomplete")) - old)
    if worker.error is not None:
        raise worker.error
    assert worker.path is not None
    yield Progress(label, before + size, total)
    return worker.path


class _Worker(threading.Thread):
    """Downloads one file. A daemon, so that a stalled connection cannot hold up the exit."""

    def __init__(self, repo: Repo, name: str, commit: str) -> None:
        super().__init__(name=f"fetch {name}", daemon=True)
        self.path: Path | None = None
        self.error: Exception | None = None
        self._wanted = (repo, name, commit)
        self._stop_now = threading.Event()

    def cancel(self) -> None:
        """Lets the download end at its next piece of data."""
        self._stop_now.set()

    def run(self) -> None:
        """Downloads; leaves either `path` or `error`."""
        from huggingface_hub import hf_hub_download

        repo, name, commit = self._wanted
        options = _bar_options(self._stop_now)
        try:
            with hub_answers.understood(repo):
                path = hf_hub_download(
                    repo.id,
                    name,
                    revision=commit,
                    cache_dir=hub_cache.cache(),
                    etag_timeout=TIMEOUT_SECONDS,
                    **options,
                )
            self.path = Path(path)
        except Exception as error:  # carried to the thread that waits
            self.error = error


def _bar_options(stop: threading.Event) -> dict[str, Any]:
    """What silences the library's own progress bar, and ends a download by it."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Silent(tqdm):
        """Shows nothing; raises in the download that feeds it once `stop` is set."""

        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float = 1) -> None:
            """Counts `n` more bytes as here."""
            if stop.is_set():
                raise _CancelledError
            super().update(n)

    return {"tqdm_class": Silent}


def _note_revision(repo: Repo, commit: str) -> None:
    """Notes which commit a branch or tag is at: asked for by commit, the library does not."""
    ref = repo.folder / "refs" / repo.revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    atomic.replace(ref, commit.encode())


def _quiet() -> None:
    """The library's own warnings would mix with our progress."""
    import importlib
    import logging

    # The library sets its level when this is first imported.
    importlib.import_module("huggingface_hub.utils.logging")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        # Renamed into place since it was listed.
        return 0


def _sweep(left: set[Path]) -> None:
    """Removes what a cancelled download left under a name that is never resumed."""
    for path in left:
        if "." in path.stem:
            path.unlink(missing_ok=True)
