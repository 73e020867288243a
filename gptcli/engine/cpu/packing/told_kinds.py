"""The kinds that keep a file's numbers, as the header of packed weights tells them.

They follow from the stored tensors, each of which has to be looked at for that; what was found once
is told with the weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gptcli import units
from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.section import EMBEDDING, UNEMBEDDING, Kinds, Section
from gptcli.engine.cpu.packing.sections import sections
from gptcli.engine.model.spec import ModelSpec
from gptcli.plain import dataclass
from gptcli.types.events import Notice

#: Kinds that are found where a section's name does not matter.
ANY = Kinds(Kind.Q4_K, Kind.Q8_0, Kind.BFLOAT16)
#: Matrices of which a header tells at the most, a letter for each.
_MOST = 2000
_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Changed:
    """Matrices that no kind keeps: how many, their bytes as stored and as they are packed.

    forms: what they are stored in, and kinds: what they become, in words, each once.
    """

    matrices: int = 0
    stored: int = 0
    packed: int = 0
    forms: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()

    def notices(self, subject: str) -> Iterator[Notice]:
        """What a user should know of it."""
        if self.matrices:
            text = f"has {units.size(self.stored)} of weights that the kernels do not keep"
            text += f" ({', '.join(self.forms)}): they take {units.size(self.packed)}"
            yield Notice(subject, f"{text} in {' and '.join(self.kinds)}")


@dataclass(frozen=True)
class Kept:
    """Kinds, what they are called together, and what of the file no kind keeps."""

    name: str
    kinds: Kinds
    changed: Changed


def matrices(spec: ModelSpec) -> Iterator[Section]:
    """Those that are stored, each with a kind of its own where a file has several."""
    for section in sections(spec, ANY):
        if section.form == "matrix" and section.name == section.parameter:
            yield section


def as_text(kept: Kept, spec: ModelSpec) -> str | None:
    """In a few letters, None where there are too many matrices."""
    names = [section.name for section in matrices(spec)]
    if len(names) > _MOST:
        return None
    own, ordered = kept.kinds.own, kept.kinds.ordered
    said: dict[str, Any] = {
        "name": kept.name,
        "body": _LETTERS[kept.kinds.body],
        "own": "".join(_LETTERS[own[name]] for name in names),
    }
    if ordered:
        said["ordered"] = "".join("1" if name in ordered else "0" for name in names)
    if kept.changed.matrices:
        said["changed"] = list(vars(kept.changed).values())
    return json.dumps(said, separators=(",", ":"))


def from_text(text: str, spec: ModelSpec) -> Kept | None:
    """The kinds of such a text, None for one that is of another model, or none of these."""
    names = [section.name for section in matrices(spec)]
    try:
        said = json.loads(text)
        own = {
            name: Kind(_LETTERS.index(letter))
            for name, letter in zip(names, said["own"], strict=True)
        }
        marks = zip(names, said["ordered"], strict=True) if "ordered" in said else ()
        matrices_, stored, packed, forms, kinds = said.get("changed", (0, 0, 0, (), ()))
        return Kept(
            str(said["name"]),
            Kinds(
                Kind(_LETTERS.index(said["body"])),
                own[EMBEDDING if spec.tied else UNEMBEDDING],
                own[EMBEDDING],
                own,
                frozenset(name for name, mark in marks if mark == "1"),
            ),
            Changed(matrices_, stored, packed, tuple(forms), tuple(kinds)),
        )
    except (ValueError, KeyError, TypeError):
        return None
