"""Models and adapters on this disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gptcli.config import number_of


@dataclass(frozen=True)
class AdapterRef:
    """A LoRA adapter's directory, and what its updates are multiplied by beside its own scale."""

    path: Path
    scale: float = 1.0

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return str(self.path) if self.scale == 1 else f"{self.path}={self.scale:g}"

    @classmethod
    def parse(cls, text: str) -> AdapterRef:
        """DIR or DIR=SCALE; a directory whose name has an = itself is one all the same.

        Raises ValueError for anything else.
        """
        path, equals, scale = text.rpartition("=")
        try:
            if not equals or Path(text).expanduser().is_dir():
                return cls(Path(text).expanduser())
            number = number_of(scale)
            # Beyond what float32 weights can take, and NaN.
            if not abs(number) <= 1e30 or not path:
                raise ValueError
            return cls(Path(path).expanduser(), number)
        except (ValueError, RuntimeError, OSError):
            raise ValueError(f"must be DIR or DIR=SCALE, not {text!r}") from None


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
