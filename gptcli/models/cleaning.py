"""What gptcli keeps that no model needs any more, or that nobody ran for long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gptcli.errors import ModelError
from gptcli.formats.gguf import index
from gptcli.models import disk, packed, prompts, store
from gptcli.models.packed import PackedCopy

_DAY = 24 * 3600.0


@dataclass(frozen=True)
class Cleaned:
    """A file or directory that goes, or may go; why, in words; and the bytes that frees."""

    path: Path
    reason: str
    freed: int


def clean(
    *, older_than: float | None = None, every_prompt: bool = False, dry: bool = False
) -> list[Cleaned]:
    """Removes what is left over: packed weights and prompts of models that are gone, models of GGUF
    files that are gone or changed, and what other versions of gptcli made.

    older_than: days, after which packed weights and prompts that were not used go as well; they are
    made again when they are needed. every_prompt: all that is kept of prompts goes. dry: nothing is
    removed. Raises ResourceError where it cannot be.
    """
    found = list(_models())
    gone = {each.path.resolve() for each in found}
    found += [*_packed(gone, older_than), *_prompts(gone, older_than, every=every_prompt)]
    if not dry:
        for each in found:
            if each.path.is_dir():
                store.remove(each.path.name)
        paths = {each.path for each in found}
        packed.remove(copy for copy in packed.copies() if copy.path in paths)
        prompts.remove(each for each in prompts.kept() if each.path in paths)
    return found


def _models() -> Iterator[Cleaned]:
    """Directories of gptcli's own that cannot be run."""
    for name in store.names():
        path = store.root() / name
        reason = None
        if store.find(name) is None:
            reason = "made by another version of gptcli, or not whole"
        elif (path / index.NAME).exists():
            try:
                index.read(path)
            except ModelError as error:
                reason = f"{error.subject} {error.reason}"
        if reason is not None:
            yield Cleaned(path, reason, disk.size_of(path))


def _packed(gone: set[Path], older_than: float | None) -> Iterator[Cleaned]:
    for copy in packed.copies():
        reason = _of_no_use(copy, "packed weights", gone, older_than)
        if reason is not None and copy.directory is None:
            reason = f"a tokenizer that was kept {int(_days(copy))} days ago"
            if copy.orphan:
                reason = "packed weights that another version of gptcli made"
        if reason is not None:
            yield Cleaned(copy.path, reason, copy.size)


def _prompts(gone: set[Path], older_than: float | None, *, every: bool) -> Iterator[Cleaned]:
    for kept in prompts.kept():
        reason: str | None
        if every:
            reason = f"a prompt of {kept.directory}" if kept.directory else "a prompt"
        elif kept.directory is None:
            reason = "a prompt that another version of gptcli kept"
        else:
            reason = _of_no_use(kept, "a prompt", gone, older_than)
        if reason is not None:
            yield Cleaned(kept.path, reason, kept.size)


def _of_no_use(
    copy: PackedCopy, what: str, gone: set[Path], older_than: float | None
) -> str | None:
    """Why what was made of a model may go, in words; None where it may not."""
    if copy.orphan or copy.directory in gone:
        return f"{what} of {copy.directory}, which is gone"
    if older_than is not None and _days(copy) > older_than:
        return f"{what} of {copy.directory}, not used for {int(_days(copy))} days"
    return None


def _days(copy: PackedCopy) -> float:
    return (time.time() - copy.used) / _DAY
