"""Which models there are: for shell completion and `gptcli models list`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from gptcli import config
from gptcli.models import aliases, disk, hub_cache, manifest, packed, store
from gptcli.models.hub_variants import choose
from gptcli.models.other_stores import BY_PREFIX, Kept, Store
from gptcli.models.packed import PackedCopy
from gptcli.plain import dataclass


@dataclass(frozen=True)
class Entry:
    """A model by the name that `--model` takes; size is in bytes, None where it is not on disk.

    packed: bytes of what the CPU kernels keep of it; used: when one of these was last run, in
    seconds since 1970, None where there are none.
    """

    name: str
    installed: bool
    size: int | None
    path: Path | None
    source: str
    packed: int = 0
    used: float | None = None


def known_names() -> list[str]:
    """Short names, gptcli's own models and the hub's repositories in the cache; no network."""
    return list(dict.fromkeys([*aliases.names(), *store.names(), *hub_cache.repos()]))


def names_elsewhere(begun: str) -> list[str]:
    """What other tools keep, of a tool whose name is begun: its store is looked through for that.

    With a colon and all; nothing where nothing is typed yet.
    """
    if not begun:
        return []
    asked = [
        each
        for prefix, each in BY_PREFIX.items()
        if f"{prefix}:".startswith(begun) or begun.startswith(f"{prefix}:")
    ]
    return [f"{each.prefix}:{kept.name}" for each in asked for kept in each.listing() if kept.path]


def listing(*, everywhere: bool = False) -> list[Entry]:
    """Every model with a short name or on this disk, short names first.

    Then come directories of the user's own of which there are packed weights, and packed weights
    of models that are gone. everywhere: also models that other tools keep; the source of one that
    cannot be used says why.
    """
    entries = [_managed(name, model.source) for name, model in aliases.WHEEL_ALIASES.items()]
    entries += [_repo(name, repo) for name, repo in sorted(aliases.HUB_ALIASES.items())]
    entries += [_managed(name, "") for name in store.names() if name not in aliases.WHEEL_ALIASES]
    short = set(aliases.HUB_ALIASES.values())
    entries += [_repo(repo, repo) for repo in hub_cache.repos() if repo not in short]
    entries = list(_with_packed(entries))
    if everywhere:
        entries += [_kept(each, kept) for each in BY_PREFIX.values() for kept in each.listing()]
    return entries


def _with_packed(entries: list[Entry]) -> Iterator[Entry]:
    """The entries with what is packed of each, and one for each other directory."""
    found: dict[Path | None, list[PackedCopy]] = {}
    for copy in packed.copies():
        found.setdefault(None if copy.orphan else copy.directory, []).append(copy)
    for entry in entries:
        yield _told(entry, found.pop(entry.path.resolve(), []) if entry.path else [])
    gone = [copy for copy in found.pop(None, []) if copy.orphan]
    for directory, kept in found.items():
        own = Entry(str(directory), True, None, directory, "your own directory")
        yield _told(own, kept)
    if gone:
        text = "packed weights of models that are gone: gptcli models clean removes them"
        yield _told(Entry("(no model)", False, None, config.packed_dir(), text), gone)


def _told(entry: Entry, kept: list[PackedCopy]) -> Entry:
    if not kept:
        return entry
    sizes, used = sum(copy.size for copy in kept), max(copy.used for copy in kept)
    return replace(entry, packed=sizes, used=used)


def _kept(store: Store, kept: Kept) -> Entry:
    source = f"{store.tool}: {kept.problem}" if kept.problem else f"kept by {store.tool}"
    name = f"{store.prefix}:{kept.name}"
    return Entry(name, kept.path is not None, kept.size, kept.path, source)


def _managed(name: str, source: str) -> Entry:
    path = store.root() / name
    if not (path / manifest.NAME).is_file():
        return Entry(name, False, None, None, source)
    found = store.find(name)
    source = found.source if found else source or "made by another version of gptcli, or not whole"
    return Entry(name, found is not None, disk.size_of(path), path, source)


def _repo(name: str, whole: str) -> Entry:
    repo = hub_cache.parse(whole)
    found = None if repo is None else hub_cache.find(repo)
    source = f"Hugging Face hub: {whole}"
    if repo and repo.variant:
        file = hub_cache.find_gguf(repo)
        each = choose(hub_cache.gguf(repo), repo.variant)
        return Entry(name, file is not None, each.size if each else None, file, source)
    if found is None:
        return Entry(name, False, None, None, source)
    return Entry(name, True, disk.size_of(found.path), found.path, source)
