"""The Hugging Face cache on this disk, read by its documented layout and nothing heavier.

`<cache>/models--<org>--<name>/refs/<revision>` holds a commit, `snapshots/<commit>/` its files as
links into `blobs/`. https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gptcli import atomic, config
from gptcli.errors import ModelError, UsageError
from gptcli.formats import json as jsonfile
from gptcli.formats.model_files import CONFIG
from gptcli.formats.safetensors import shards
from gptcli.models import local
from gptcli.models.hub_variants import Variant, choose, is_model, variants
from gptcli.plain import dataclass
from gptcli.types.models import ModelDir

_MAIN = "main"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PREFIX = "models--"
_REPO = re.compile(r"(?![.-])[A-Za-z0-9._-]{1,96}/(?![.-])[A-Za-z0-9._-]{1,96}")
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]*")
_VARIANT = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/+-]{0,255}")
#: As ollama's users write where a repository is, and what ollama calls no variant in particular.
_HOSTS = re.compile(r"(?:https://)?(?:hf\.co|huggingface\.co)/")
_LATEST = "latest"
#: How deep in a repository directories of variants are looked for.
_DEPTH = 3


@dataclass(frozen=True)
class Repo:
    """A model repository at a revision: a branch, a tag or a commit.

    variant: which of its GGUF files, see `hub_variants`; empty for its safetensors, and for the
    file that is taken by default where it has none.
    """

    id: str
    revision: str = _MAIN
    variant: str = ""

    def __str__(self) -> str:
        at = "" if self.revision == _MAIN else f"@{self.revision}"
        return f"{self.id}{at}{self.variant and ':'}{self.variant}"

    @property
    def folder(self) -> Path:
        """Where the cache keeps it, whether it does or not."""
        return cache() / (_PREFIX + self.id.replace("/", "--"))


def parse(name: str) -> Repo | None:
    """`org/name`, `org/name@revision`, either with `:variant`; None for anything else."""
    whole, colon, variant = _HOSTS.sub("", name, count=1).partition(":")
    repo, at, revision = whole.partition("@")
    if not _REPO.fullmatch(repo) or "--" in repo or ".." in repo:
        return None
    if (at and not _REVISION.fullmatch(revision)) or (colon and not _VARIANT.fullmatch(variant)):
        return None
    return Repo(repo, revision or _MAIN, "" if variant.lower() == _LATEST else variant)


def cache() -> Path:
    """The cache's directory, from the same variables that huggingface_hub reads."""
    for variable, below in (
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
    ):
        given = os.environ.get(variable)
        if given:
            return _expanded(os.path.expandvars(given), variable) / below
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return _expanded(home, "XDG_CACHE_HOME") / "huggingface" / "hub"


def _expanded(text: str, variable: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UsageError(variable, f"there is no home directory for {text}") from None


def find(repo: Repo, called: str | None = None) -> ModelDir | None:
    """The repository's snapshot of safetensors, None if it is not here or not whole.

    An interrupted download leaves one that is not; of a variant, see `find_gguf`.
    """
    path = snapshot(repo)
    if path is None or repo.variant or not whole(path):
        return None
    return ModelDir(called or str(repo), path, f"Hugging Face hub: {repo}")


def snapshot(repo: Repo) -> Path | None:
    """The directory of the repository's files at its revision, whole or not."""
    commit = repo.revision
    if not _COMMIT.fullmatch(commit):
        ref = repo.folder / "refs" / repo.revision
        try:
            if not ref.is_file():
                return None
            commit = ref.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        if not _COMMIT.fullmatch(commit):
            return None
    path = repo.folder / "snapshots" / commit
    return path if path.is_dir() else None


def whole(path: Path) -> bool:
    """Whether a snapshot has all that a model needs."""
    names = {entry.name for entry in path.iterdir() if entry.is_file()}
    if CONFIG not in names or not local.has_tokenizer(names):
        return False
    try:
        return all(shard.is_file() for shard in shards.find(path).files)
    except ModelError:
        return False


def gguf(repo: Repo) -> list[Variant]:
    """The GGUF variants of a repository that are here whole; no network.

    Their files are names below `snapshot`.
    """
    return [each for each in _variants(repo) if each.size is not None]


def find_gguf(repo: Repo) -> Path | None:
    """The GGUF file that is meant, the first of its parts; None where it is not here whole.

    None also where no variant is named and nobody noted what the repository has: what is here
    does not tell which one is meant.
    """
    place = snapshot(repo)
    if place is None or not (repo.variant or _noted(repo, place.name)):
        return None
    found = choose(_variants(repo), repo.variant)
    return place / found.files[0] if found and found.size is not None else None


def note(repo: Repo, commit: str, files: Iterable[str]) -> None:
    """Note which files a commit has on the hub: those that are here alone name no variant."""
    said = {"commit": commit, "files": [name for name in files if is_model(name)]}
    atomic.keep(_note(repo), json.dumps(said).encode())


def _variants(repo: Repo) -> list[Variant]:
    """All that are known of, those that are not here whole without a size."""
    place = snapshot(repo)
    if place is None:
        return []
    sizes: dict[str, int | None] = {}
    for path in _below(place):
        with suppress(OSError):  # a link to a blob that is not there
            sizes[path.relative_to(place).as_posix()] = path.stat().st_size
    names = _noted(repo, place.name) or sorted(sizes)
    return variants({name: sizes.get(name) for name in names})


def _noted(repo: Repo, commit: str) -> list[str]:
    try:
        said = jsonfile.read(_note(repo))
        return [str(name) for name in said["files"]] if said["commit"] == commit else []
    except (ModelError, KeyError, TypeError):
        return []


def _note(repo: Repo) -> Path:
    name = str(replace(repo, variant="")).replace("/", "--")
    return config.data_dir() / "models" / ".hub" / f"{_PREFIX}{name}.json"


def _below(place: Path) -> Iterator[Path]:
    """GGUF files, as deep as variants are."""
    for depth in range(_DEPTH):
        yield from place.glob("*/" * depth + "*.[gG][gG][uU][fF]")


def repos() -> list[str]:
    """The repositories in the cache that have a snapshot with safetensors or GGUF files, sorted.

    Names of directories and files only; nothing is read. What is GGUF is named with its variant.
    """
    found = []
    for folder in cache().glob(f"{_PREFIX}*--*"):
        name = folder.name.removeprefix(_PREFIX).replace("--", "/", 1)
        weights = (
            *folder.glob(f"snapshots/*/{shards.WEIGHTS}"),
            *folder.glob(f"snapshots/*/{shards.INDEX}"),
        )
        if weights:
            found.append(name)
        repo = parse(name)
        found += [f"{name}:{each.name}" for each in (gguf(repo) if repo else ())]
    return sorted(found)
