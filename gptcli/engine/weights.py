"""Safetensors on disk → tensors by our own names, memory-mapped, strict both ways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gptcli import shards
from gptcli.engine.families.rules import Rules
from gptcli.engine.layout import Layout, layouts
from gptcli.errors import ModelError, ResourceError

_DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
#: What packed numbers are stored as.
_PACKED = {"U8": torch.uint8}


@dataclass(frozen=True)
class Stored:
    """A tensor in a file, before it is read. dtype: None for one that we cannot use."""

    name: str
    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype | None


class Checkpoint:
    """All tensors of a model directory, by stored name. Opening reads the headers only."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._files: dict[Path, Any] = {}
        self.tensors: dict[str, Stored] = {}
        for file, expected in _files(directory):
            self._open(file, expected)

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that most of the weights have; masks and the like are none."""
        counts = dict.fromkeys(_DTYPES.values(), 0)
        for stored in self.tensors.values():
            if stored.dtype in counts:
                counts[stored.dtype] += torch.Size(stored.shape).numel()
        return max(counts, key=lambda dtype: counts[dtype])

    @property
    def elements(self) -> int:
        """How many numbers, or bytes of packed ones, are stored in all."""
        return sum(torch.Size(stored.shape).numel() for stored in self.tensors.values())

    def read(self, name: str) -> Tensor:
        """The tensor, as a view of the mapped file."""
        stored = self.tensors[name]
        try:
            tensor: Tensor = self._files[stored.file].get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise ModelError(str(stored.file), f"{name} cannot be read: {error}") from None
        return tensor

    def _open(self, file: Path, expected: set[str]) -> None:
        try:
            opened = safe_open(file, framework="pt")
        except FileNotFoundError:
            raise ModelError(str(file), "is missing") from None
        except MemoryError:
            raise ResourceError(str(file), "does not fit into the address space") from None
        except (SafetensorError, OSError) as error:
            raise ModelError(str(file), f"is not a whole safetensors file: {error}") from None
        self._files[file] = opened
        names = set(opened.keys())
        for name in sorted(expected - names):
            raise ModelError(str(file), f"lacks {name}, which the index says it holds")
        for name in sorted(names):
            if name in self.tensors:
                other = self.tensors[name].file.name
                raise ModelError(str(file), f"{name} is stored twice (also in {other})")
            part = opened.get_slice(name)
            kind = part.get_dtype()
            # Other kinds are refused later: only tensors that are used matter.
            dtype = (_DTYPES | _PACKED).get(kind)
            self.tensors[name] = Stored(name, file, tuple(part.get_shape()), dtype)


def _files(directory: Path) -> Iterator[tuple[Path, set[str]]]:
    """The safetensors files, and what an index says is in each (nothing where there is none)."""
    expected: dict[str, set[str]] = {}
    if not (directory / shards.WEIGHTS).is_file() and (directory / shards.INDEX).is_file():
        for name, shard in shards.weight_map(directory / shards.INDEX).items():
            expected.setdefault(shard, set()).add(name)
    for file in shards.files(directory):
        yield file, expected.get(file.name, set())


@dataclass(frozen=True)
class Placement:
    """A layout, met with the stored tensors that it applies to."""

    layout: Layout
    stored: tuple[Stored, ...]


def place(
    checkpoint: Checkpoint, rules: Rules, shapes: dict[str, torch.Size], layers: int
) -> list[Placement]:
    """Match every parameter with a stored tensor, before any weights are read.

    `shapes` are our parameters. Raises ModelError naming the first tensor that is missing,
    unknown, or of another shape than config.json says.
    """
    subject = str(checkpoint.directory)
    by_name: dict[str, Stored] = {}
    for stored in checkpoint.tensors.values():
        name = rules.bare(stored.name)
        if name in by_name:
            raise ModelError(subject, f"{name} is stored with and without {rules.prefix!r}")
        by_name[name] = stored
    placed = []
    for rule in rules.rules:
        for layout in layouts(rule, layers, by_name):
            for name in layout.stored:
                if name not in by_name:
                    raise ModelError(subject, f"tensor {rules.prefix}{name} is missing")
            placement = Placement(layout, tuple(by_name.pop(name) for name in layout.stored))
            _check(placement, shapes)
            placed.append(placement)
    ignored = re.compile("|".join(rules.ignored) or r"(?!)")
    for name, stored in by_name.items():
        if not ignored.fullmatch(name):
            reason = f"tensor {stored.name} is not part of a model as config.json describes it"
            raise ModelError(subject, reason)
    return placed


def _check(placement: Placement, shapes: dict[str, torch.Size]) -> None:
    known = _PACKED if placement.layout.packed else _DTYPES
    wanted = placement.layout.shapes(shapes)
    for stored, shape in zip(placement.stored, wanted, strict=True):
        if stored.shape != shape:
            reason = f"tensor {stored.name} has shape {list(stored.shape)}, not {list(shape)}"
            raise ModelError(str(stored.file), f"{reason} as config.json says")
        if stored.dtype not in known.values():
            reason = f"tensor {stored.name} is not one of {', '.join(known)}"
            raise ModelError(str(stored.file), reason)
