"""Models, adapters and control vectors on this disk."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from gptcli.config import number_of
from gptcli.plain import dataclass

#: Behind which layers, at the end of a control vector's name.
_LAYERS = re.compile(r"@([0-9]{0,4}):([0-9]{0,4})$")


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
        try:
            path, scale = _scaled(text, Path.is_dir)
            return cls(Path(path).expanduser(), scale)
        except (ValueError, RuntimeError, OSError):
            raise ValueError(f"must be DIR or DIR=SCALE, not {text!r}") from None


@dataclass(frozen=True)
class SteerRef:
    """A control vector's file, what its directions are multiplied by, and behind which layers they
    are added: from the first to the last, None for as many as there are.
    """

    path: Path
    scale: float = 1.0
    first: int | None = None
    last: int | None = None

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        scale = "" if self.scale == 1 else f"={self.scale!r}".removesuffix(".0")
        ends = ["" if end is None else str(end) for end in (self.first, self.last)]
        return f"{self.path}{scale}{'@' + ':'.join(ends) if any(ends) else ''}"

    @classmethod
    def parse(cls, text: str) -> SteerRef:
        """FILE, FILE=SCALE, FILE@FROM:TO or both; a file whose name has such an end itself is one
        all the same. Raises ValueError for anything else.
        """
        path, first, last = text, None, None
        match = _LAYERS.search(text)
        try:
            if match is not None and not Path(text).expanduser().is_file():
                path = text[: match.start()]
                first, last = (int(end) if end else None for end in match.groups())
            path, scale = _scaled(path, Path.is_file)
            if first is not None and last is not None and first > last:
                raise ValueError
            return cls(Path(path).expanduser(), scale, first, last)
        except (ValueError, RuntimeError, OSError):
            raise ValueError(f"must be FILE[=SCALE][@FROM:TO], not {text!r}") from None


def _scaled(text: str, is_there: Callable[[Path], bool]) -> tuple[str, float]:
    """A path and the number behind its last =, 1 where it is all a path. Raises ValueError."""
    path, equals, scale = text.rpartition("=")
    if not equals or is_there(Path(text).expanduser()):
        return text, 1.0
    number = number_of(scale)
    # Beyond what float32 weights can take, and NaN.
    if not abs(number) <= 1e30 or not path:
        raise ValueError
    return path, number


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


@dataclass(frozen=True)
class OfferedVariant:
    """One of the forms in which a repository of the hub has a model.

    name: that of a GGUF variant, empty for safetensors; files: how many it is in; size: bytes to
    fetch; memory: bytes that it takes to run, the KV cache of a long context aside. None where
    that is not known.
    """

    name: str
    files: int
    size: int | None
    memory: int | None

    def fits(self, room: int | None) -> bool | None:
        """Whether it fits into so many bytes of memory, None where nobody knows."""
        return None if room is None or self.memory is None else self.memory <= room


@dataclass(frozen=True)
class Offer:
    """A model of the hub, and what it says of it: None where it does not.

    name: org/name; family: the model_type of its config.json, or a GGUF file's architecture;
    default: the name of the variant that is meant where none is named; gated: its licence has to
    be accepted first; here: the names of the variants on this disk.
    """

    name: str
    family: str | None
    parameters: int | None
    downloads: int | None
    licence: str | None
    gated: bool
    variants: tuple[OfferedVariant, ...]
    default: str
    here: tuple[str, ...] = ()

    @property
    def meant(self) -> OfferedVariant:
        """The variant that is meant where none is named."""
        return next(each for each in self.variants if each.name == self.default)

    def name_of(self, variant: OfferedVariant) -> str:
        """What --model takes for a variant."""
        return f"{self.name}:{variant.name}" if variant.name else self.name


@dataclass(frozen=True)
class Offered:
    """A model in a server's list. owner: who has it, as the server says; created: in seconds since
    1970; context: in tokens; None for what it does not say. aliases: other names of it.
    """

    name: str
    owner: str = ""
    created: int | None = None
    context: int | None = None
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All its names."""
        return (self.name, *self.aliases)
