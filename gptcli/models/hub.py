"""Models from the Hugging Face hub, through huggingface_hub and into its own cache.

Only what a model needs is fetched, the weights last; `HF_HUB_OFFLINE`, `HF_TOKEN`, `HF_HOME` and
`HF_ENDPOINT` mean what they mean to that library.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace

from gptcli import atomic
from gptcli.errors import ModelError
from gptcli.formats.model_files import TOKENIZER
from gptcli.formats.quantization import MODELOPT_FILE
from gptcli.formats.safetensors import shards
from gptcli.formats.tokenizer_json import reading
from gptcli.formats.tokenizer_json.settings import COMPANIONS
from gptcli.models import disk, hub_answers, hub_cache, hub_download, hub_errors, hub_offer
from gptcli.models.hub_answers import Listing
from gptcli.models.hub_cache import Repo
from gptcli.models.hub_variants import require, variants
from gptcli.types.events import Notice, Progress
from gptcli.types.models import Offer
from gptcli.units import size

#: Small files, in the order they are fetched.
_SMALL = (
    "config.json",
    "generation_config.json",
    MODELOPT_FILE,
    TOKENIZER,
    *COMPANIONS,
    "chat_template.jinja",
    "README.md",
)
#: Bytes of main memory that can still be taken, None where that is not known.
Room = Callable[[], int | None]


def fetch(repo: Repo, room: Room) -> Generator[Progress | Notice, None, None]:
    """Brings the repository's files into the cache, those of the variant that is meant.

    Tells which variants there are where none was named. Raises NetworkError where the hub cannot
    be reached, ModelError for a repository, revision or kind of weights that cannot be had,
    ResourceError where the cache cannot be written.
    """
    yield Progress(f"looking up {repo} on the hub", 0)
    with _asking(repo):
        listing = hub_answers.listing(repo)
        names = yield from _wanted(repo, listing, room)
        yield from _fetch_all(repo, listing, names)


def update(repo: Repo, room: Room) -> Generator[Progress | Notice, None, str]:
    """As `fetch`, also where the hub has another commit by now; says what that did, in words."""
    before = hub_cache.snapshot(repo)
    yield Progress(f"looking up {repo} on the hub", 0)
    with _asking(repo):
        listing = hub_answers.listing(repo)
        old = before.name if before else None
        names = yield from _wanted(repo, listing, room)
        missing = [name for name in names if not _is_here(repo, listing.commit, name)]
        if old == listing.commit and not missing:
            return f"is as the hub has it, at commit {old[:7]}"
        had = {path.name for path in (repo.folder / "blobs").glob("*")}
        yield from _fetch_all(repo, listing, names)
    place = repo.folder / "snapshots" / listing.commit
    new = [name for name in names if (place / name).resolve().name not in had]
    brought = ", ".join(f"{name} ({size((place / name).stat().st_size)})" for name in new)
    step = f"commit {listing.commit[:7]}"
    step = f"went from commit {old[:7]} to {listing.commit[:7]}" if old else f"is at {step}"
    return f"{step}; fetched {brought}" if new else f"{step}; none of its files changed"


def look_up(repo: Repo) -> Generator[Progress, None, Offer]:
    """What the hub has of a repository; nothing is fetched. Raises as `fetch`."""
    yield Progress(f"looking up {repo} on the hub", 0)
    with _asking(repo):
        return hub_offer.of(replace(repo, variant=""), hub_answers.listing(repo))


def _wanted(
    repo: Repo, listing: Listing, room: Room
) -> Generator[Progress | Notice, None, list[str]]:
    """The names of the files that make the model, the weights last.

    Raises ModelError before anything big is fetched from a repository that is of no use.
    """
    found, trouble = variants(listing.files), hub_offer.trouble(repo, listing.files)
    if repo.variant or (found and trouble):
        bare = replace(repo, variant="")
        chosen = require(found, repo.variant, str(bare))
        _lacks(repo, listing, chosen.files, "which is a part of it")
        hub_cache.note(repo, listing.commit, listing.files)
        if not repo.variant and len(found) > 1:
            yield Notice(str(repo), hub_offer.told(hub_offer.of(bare, listing), room()))
        return list(chosen.files)
    if trouble:
        raise trouble
    wanted = [name for name in _SMALL if name in listing.files]
    if TOKENIZER not in listing.files:
        wanted += reading.sources(listing.files)
    weights = [shards.WEIGHTS]
    if shards.WEIGHTS not in listing.files:
        bytes_of_index = listing.files[shards.INDEX]
        index = yield from hub_download.fetch(
            repo, shards.INDEX, listing.commit, bytes_of_index, 0, None
        )
        weights = sorted(set(shards.weight_map(index).values()))
        _lacks(repo, listing, weights, "which its index names")
    return wanted + weights


def _fetch_all(
    repo: Repo, listing: Listing, names: list[str]
) -> Generator[Progress | Notice, None, None]:
    sizes = [listing.files[name] or 0 for name in names]
    total = sum(sizes)
    digests = [listing.digests[name] for name in names if name in listing.digests]
    begun = hub_download.begun(repo, digests)
    have = _bytes_here(repo, listing.commit, names) + begun
    disk.need_space(hub_cache.cache(), total - have)
    if begun:
        yield Notice(str(repo), f"goes on where it was broken off, after {size(begun)}")
    done = 0
    for name, count in zip(names, sizes, strict=True):
        said = listing.files[name]
        yield from hub_download.fetch(repo, name, listing.commit, said, done, total)
        done += count
    if repo.revision != listing.commit:
        _note_revision(repo, listing.commit)
    hub_download.sweep(repo)


def _lacks(repo: Repo, listing: Listing, names: list[str] | tuple[str, ...], why: str) -> None:
    missing = [name for name in names if name not in listing.files]
    if missing:
        raise ModelError(str(repo), f"lacks {missing[0]}, {why}")


@contextmanager
def _asking(repo: Repo) -> Iterator[None]:
    with hub_errors.translated(repo):
        hub_answers.prepare()
        yield


def _bytes_here(repo: Repo, commit: str, names: list[str]) -> int:
    """Bytes of those files that are in the cache already."""
    place = repo.folder / "snapshots" / commit
    return sum((place / name).stat().st_size for name in names if (place / name).exists())


def _is_here(repo: Repo, commit: str, name: str) -> bool:
    return (repo.folder / "snapshots" / commit / name).exists()


def _note_revision(repo: Repo, commit: str) -> None:
    """Notes which commit a branch or tag is at: asked for by commit, the library does not."""
    ref = repo.folder / "refs" / repo.revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    atomic.replace(ref, commit.encode())
