"""Every parameter of a model: its shape, and how many numbers it holds."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

_NUMBERED = re.compile(r"^layers\.(\d+)\.(.*)$")
_EXPERT = re.compile(r"\.experts\.\d+\.")


@dataclass(frozen=True)
class Part:
    """Parameters of one name and shape. layers: in which layers, empty where it is in none.

    times: how many such parameters there are in all, which is more than layers in a mixture.
    """

    name: str
    shape: tuple[int, ...]
    layers: tuple[int, ...]
    times: int

    @property
    def parameters(self) -> int:
        """How many numbers they hold together."""
        return math.prod(self.shape) * self.times


def parts(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> list[Part]:
    """The parts of a `Runner.shapes`, in its order; their parameters sum to the model's."""
    found: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for name, shape in shapes:
        match = _NUMBERED.match(name)
        layer, rest = (int(match[1]), match[2]) if match else (-1, name)
        rest = _EXPERT.sub(".experts.{n}.", f".{rest}").removeprefix(".")
        found.setdefault((rest, shape), []).append(layer)
    return [
        Part(name, shape, tuple(sorted({layer for layer in layers if layer >= 0})), len(layers))
        for (name, shape), layers in found.items()
    ]
