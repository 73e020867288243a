"""What another tool's store is to us."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from gptcli.plain import dataclass


@dataclass(frozen=True)
class Kept:
    """A model in a store, under the name that the store's prefix stands before.

    path: the GGUF file, the first of its parts, or the model directory; size: bytes of all of it.
    Where it cannot be used, problem says why, and there is neither.
    """

    name: str
    path: Path | None
    size: int | None
    problem: str | None = None


class Store(Protocol):
    """Another tool's models."""

    @property
    def prefix(self) -> str:
        """What stands before the colon of a name."""

    @property
    def tool(self) -> str:
        """The tool, for people."""

    def listing(self) -> Iterator[Kept]:
        """Every model in it; what is broken has a problem and raises nothing."""

    def find(self, name: str) -> tuple[Path, tuple[str, ...]]:
        """A GGUF file or a model directory, and what to tell of it.

        Raises ModelError where there is none, or where it leads outside of the store.
        """


def home(*parts: str) -> list[Path]:
    """A place in the user's home directory; none where he has no home."""
    with suppress(RuntimeError):
        return [Path.home().joinpath(*parts)]
    return []


def from_variable(name: str) -> list[Path]:
    """The place that an environment variable names, if it does."""
    given = os.environ.get(name, "").strip()
    with suppress(RuntimeError):
        return [Path(given).expanduser().absolute()] if given else []
    return []
