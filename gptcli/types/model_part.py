"""Parts of a model as they are named on a command line: 9.6 is head 6 of layer 9."""

from __future__ import annotations

import re
from typing import Literal

from gptcli.plain import dataclass

Kind = Literal["head", "layer", "mlp", "attention", "expert", "position"]

#: Those that a layer has several of.
_MANY: tuple[Kind, ...] = ("head", "expert")
_KINDS: tuple[Kind, ...] = ("head", "layer", "mlp", "attention", "expert", "position")
_NAME = re.compile(rf"(?:({'|'.join(_KINDS)}):)?([0-9]{{1,9}})(?:\.([0-9]{{1,9}}))?")


@dataclass(frozen=True)
class ModelPart:
    """A part that can be switched off.

    layer: None of a position. index: which head or expert of its layer, or which position.
    """

    kind: Kind
    layer: int | None
    index: int | None = None

    @property
    def name(self) -> str:
        """As `part_of` reads it: `9.6`, `9` for a layer, `mlp:9`, `expert:9.3`, `position:4`."""
        numbers = ".".join(str(each) for each in (self.layer, self.index) if each is not None)
        return numbers if self.kind in ("head", "layer") else f"{self.kind}:{numbers}"


def part_of(text: str) -> ModelPart:
    """The part of that name. Raises ValueError where it is none."""
    match = _NAME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text.strip()!r} names no part of a model")
    first, second = int(match[2]), None if match[3] is None else int(match[3])
    kind: Kind = next((each for each in _KINDS if each == match[1]), _unnamed(second))
    if (second is None) == (kind in _MANY):
        wanted = "LAYER.NUMBER" if kind in _MANY else "one number"
        raise ValueError(f"{text.strip()!r}: {kind} needs {wanted}")
    return ModelPart(kind, None, first) if kind == "position" else ModelPart(kind, first, second)


def _unnamed(second: int | None) -> Kind:
    return "layer" if second is None else "head"
