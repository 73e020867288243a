"""The Hugging Face cache on this disk, read by its documented layout and nothing heavier.

`<cache>/models--<org>--<name>/refs/<revision>` holds a commit, `snapshots/<commit>/` its files as
links into `blobs/`. https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from gptcli.errors import ModelError, UsageError
from gptcli.formats.model_files import CONFIG
from gptcli.formats.safetensors import shards
from gptcli.models import local
from gptcli.types.models import ModelDir

_MAIN = "main"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PREFIX = "models--"
_REPO = re.compile(r"(?![.-])[A-Za-z0-9._-]{1,96}/(?![.-])[A-Za-z0-9._-]{1,96}")
_REVISION = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class Repo:
    """A model repository at a revision: a branch, a tag or a commit."""

    id: str
    revision: str = _MAIN

    def __str__(self) -> str:
        return self.id if self.revision == _MAIN else f"{self.id}@{self.revision}"

    @property
    def folder(self) -> Path:
        """Where the cache keeps it, whether it does or not."""
        return cache() / (_PREFIX + self.id.replace("/", "--"))


def parse(name: str) -> Repo | None:
    """`org/name` or `org/name@revision`; None for anything else."""
    repo, at, revision = name.partition("@")
    if not _REPO.fullmatch(repo) or "--" in repo or ".." in repo:
        return None
    if at and not _REVISION.fullmatch(revision):
        return None
    return Repo(repo, revision or _MAIN)


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
    """The repository's snapshot, None if it is not here or not whole (an interrupted download)."""
    path = snapshot(repo)
    if path is None or not whole(path):
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


def repos() -> list[str]:
    """The repositories in the cache that have a snapshot with safetensors, sorted.

    Names of directories only; nothing is read.
    """
    found = []
    for folder in cache().glob(f"{_PREFIX}*--*"):
        weights = (
            *folder.glob(f"snapshots/*/{shards.WEIGHTS}"),
            *folder.glob(f"snapshots/*/{shards.INDEX}"),
        )
        if weights:
            found.append(folder.name.removeprefix(_PREFIX).replace("--", "/", 1))
    return sorted(found)
