"""Models and adapters on this disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AdapterRef:
    """A LoRA adapter's directory, and what its updates are multiplied by beside its own scale."""

    path: Path
    scale: float = 1.0

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return str(self.path) if self.scale == 1 else f"{self.path}={self.scale:g}"


@dataclass(frozen=True)
class ModelDir:
    """A model on this disk, ready to be opened.

    name: what the user called it; path: the directory with config.json and the weights;
    source: where it came from, in words a user can act on; managed: gptcli put it there and may
    remove it. licence: that of a managed model, None where it is not known.
    """

    name: str
    path: Path
    source: str
    managed: bool = False
    licence: str | None = None
