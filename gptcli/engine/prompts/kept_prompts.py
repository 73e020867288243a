"""Prompts on the disk: what of them is used again, what is worth to be kept, and what goes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from gptcli import units
from gptcli.engine.prompts import prompt_file
from gptcli.engine.prompts.bounds import END, trim
from gptcli.engine.prompts.common import common_length
from gptcli.engine.prompts.prompt_file import Head, Whose
from gptcli.engine.state.model_state import ModelState
from gptcli.engine.state.snapshot import Snapshot
from gptcli.formats import packed_header
from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.prompt_cache import PromptCacheUse

#: Of a directory: computing fewer tokens than so many takes no longer than the disk is worth.
LEAST = 256
_UNUSED = PromptCacheUse(why="too few tokens were to be computed")
#: Letters of a model's name that those of its files begin with.
_LETTERS = 50


@dataclass(frozen=True)
class Recalled:
    """What is on the disk of a prompt.

    common: how many tokens some text that is kept has in common with it. state: one that holds the
    first `length` of them, with its places; None where there is nothing.
    """

    common: int = 0
    length: int = 0
    state: ModelState | None = None
    snapshots: Sequence[Snapshot] = ()


class KeptPrompts:
    """Those of one model, in a directory, or in one file where `file` names it.

    new_state: an empty state of one row; limit: the most tokens of one; most: bytes of all that is
    in a directory.
    """

    def __init__(
        self,
        whose: Whose,
        new_state: Callable[[], ModelState],
        limit: int,
        place: Path,
        *,
        file: Path | None = None,
        most: int,
    ) -> None:
        self._whose, self._new_state, self._limit = whose, new_state, limit
        self._directory, self._file, self._most = place, file, most
        #: Tokens that have to be new for a look at the disk.
        self.least = LEAST if file is None else 1
        self._use = _UNUSED
        self._read_last: list[int] = []

    def used(self) -> PromptCacheUse:
        """What it came to since it was asked last."""
        found, self._use = self._use, _UNUSED
        return found

    def recall(self, prompt: Sequence[int], most: int, here: int) -> Recalled:
        """A state that holds the first tokens of a prompt, at most so many.

        here: how many of them are computed already; only more is worth a look.
        """
        if most - here < self.least:
            return Recalled()
        empty = self._new_state()
        found, why = self._heads(empty)
        common = max((common_length(head.ids, prompt) for head in found.values()), default=0)
        usable = {path: _usable(head, prompt, most, empty) for path, head in found.items()}
        for path in sorted(usable, key=lambda path: -usable[path]):
            if usable[path] - here < self.least:
                break
            state = self._new_state()
            snapshots = self._read(path, state, usable[path])
            if snapshots is not None:
                self._use = replace(self._use, read=usable[path] - here, why=None)
                self._read_last = list(prompt[: usable[path]])
                return Recalled(common, usable[path], state, snapshots)
            why = "what was kept is broken"
        self._use = replace(self._use, why=why or "nothing is kept of its beginning")
        return Recalled(common)

    def keep(
        self, state: ModelState, ids: Sequence[int], snapshots: Sequence[Snapshot]
    ) -> Notice | None:
        """Keep what a state holds, these ids, where a later process gains enough by it.

        snapshots: places to which the state can come back, in their order. What to tell where it
        should be kept and cannot be.
        """
        known_length = len(self._read_last)
        if known_length and len(ids) - known_length < LEAST and _begins(ids, self._read_last):
            # Without a look at what is there.
            return None
        path = self._file or self._path(ids)
        try:
            if self._file is not None and not _may_replace(self._file):
                return Notice(str(path), "holds something else, and is left as it is")
            found, _ = self._heads(self._new_state())
            known = [_usable(head, ids, len(ids), state) for head in found.values()]
            least = self.least if not found else LEAST
            if len(ids) - max(known, default=0) < least:
                return None
            size = prompt_file.size_of(state, len(ids), len(snapshots))
            if self._file is None:
                if size > self._most:
                    reason = f"{units.size(size)} are more than --prompt-cache-size"
                    self._use = replace(self._use, lost=reason)
                    return None
                self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                trim(self._directory, self._most - size)
            prompt_file.write(path, self._whose, state, ids, snapshots)
            self._use = replace(self._use, kept=len(ids), bytes=size)
            if self._file is None:
                self._remove_older(found, path, ids, snapshots)
                trim(self._directory, self._most)
        except OSError as error:
            return Notice(str(path), f"the prompt is not kept: {error.strerror or error}")
        return None

    def _path(self, ids: Sequence[int]) -> Path:
        """Processes that keep the same write the same file."""
        text = hashlib.sha256(np.array(ids, "<u4").tobytes()).hexdigest()
        return self._directory / f"{self._begin}{text[:16]}{END}"

    @property
    def _begin(self) -> str:
        """What the names of this model's files begin with."""
        return f"{self._whose.directory.name[:_LETTERS]}.{self._whose.fingerprint[:16]}."

    def _paths(self) -> Iterator[Path]:
        if self._file is not None:
            yield self._file
            return
        with suppress(FileNotFoundError), os.scandir(self._directory) as entries:
            for each in entries:
                if each.name.startswith(self._begin) and each.name.endswith(END):
                    yield Path(each.path)

    def _heads(self, empty: ModelState) -> tuple[dict[Path, Head], str | None]:
        """The files that could be used, and why another is not; broken ones of ours go."""
        found, why = dict[Path, Head](), None
        for path in self._paths():
            head = self._head(path, empty)
            if isinstance(head, Head):
                found[path] = head
            else:
                why = head or why
        return found, why

    def _head(self, path: Path, empty: ModelState) -> Head | str | None:
        try:
            with prompt_file.opened(path) as file:
                if file is None:
                    return "it is a link, or somebody else's, or no file"
                head = prompt_file.head_of(file, self._whose, empty, self._limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            return error.strerror or str(error)
        if isinstance(head, str):
            self._remove(path)
        return head

    def _read(self, path: Path, state: ModelState, wanted: int) -> list[Snapshot] | None:
        """Make an empty state hold what a file has; None where that is broken, or gone."""
        try:
            with prompt_file.opened(path) as file:
                if file is None:
                    return None
                # Anew: it may have been replaced by one of other places.
                head = prompt_file.head_of(file, self._whose, state, self._limit)
                if isinstance(head, str) or wanted > len(head.ids):
                    return None
                found = head.form.read(file, head.begin, state, wanted, head.checks)
        except OSError:
            return None
        if found is None:
            self._remove(path)
        elif self._file is None:
            with suppress(OSError):
                os.utime(path)
        return found

    def _remove_older(
        self,
        found: dict[Path, Head],
        path: Path,
        ids: Sequence[int],
        snapshots: Sequence[Snapshot],
    ) -> None:
        """Remove files all of which is in the one that was just written."""
        places = {each.lengths[0] for each in snapshots}
        for other, head in found.items():
            within = common_length(head.ids, ids) == len(head.ids)
            if other != path and within and places.issuperset(head.places[-1:]):
                self._remove(other)

    def _remove(self, path: Path) -> None:
        """Remove a file of our own directory; the user's own stays."""
        if self._file is None:
            with suppress(OSError):
                path.unlink()


def _usable(head: Head, prompt: Sequence[int], most: int, state: ModelState) -> int:
    """How many tokens of a prompt, at most so many, a state can be made to hold by a file."""
    common = min(common_length(head.ids, prompt), most)
    if state.rewinds:
        return common
    return max((place for place in head.places if place <= common), default=0)


def _begins(ids: Sequence[int], other: Sequence[int]) -> bool:
    return list(ids[: len(other)]) == list(other)


def _may_replace(path: Path) -> bool:
    """Whether a file of the user's choice is not there, empty, or was written by `write`.

    Raises OSError.
    """
    try:
        with prompt_file.opened(path) as file:
            return file is not None and file.read(8) in (b"", packed_header.PROMPT)
    except FileNotFoundError:
        return True
