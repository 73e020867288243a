"""Which parts of a model are switched off, and how."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from gptcli.config import option
from gptcli.plain import dataclass
from gptcli.types.ablate import Put
from gptcli.types.model_part import Kind, ModelPart, part_of


def _parts(text: str) -> tuple[ModelPart, ...]:
    return tuple(part_of(each) for each in text.split(","))


@dataclass(frozen=True)
class Switching:
    """The parts, and what stands in their place."""

    each: str | None = option(
        None,
        "Every part of this kind by itself: head, layer, mlp, attention, expert or position."
        " Default: head, where --off names nothing.",
        metavar="KIND",
        brief="Every head, layer, mlp, … by itself.",
        choices=("head", "layer", "mlp", "attention", "expert", "position"),
    )
    off: tuple[ModelPart, ...] = option(
        (),
        "Switch these off: 9.6 is head 6 of layer 9, and 9 that layer; mlp:9, attention:9,"
        " expert:9.3; position:4 is what is read there. By themselves and together; with --each and"
        " with -n they are off all the time.",
        metavar="PART,…",
        brief="Switch these off: 9.6, a head; 9, a layer; mlp:9.",
        parse=_parts,
        joined=True,
    )
    put: str = option(
        "mean",
        "What stands in the place of a part's work: its mean over a reference text, zero, or what"
        " it does at tokens of that text, drawn by --seed (resample). The share of an expert is 0"
        " in any case. Default: mean.",
        "--with",
        metavar="WHAT",
        brief="mean, zero or resample.",
        choices=("mean", "zero", "resample"),
    )
    reference: Path | None = option(
        None,
        "The reference text. Default: a short one of our own, in English.",
        metavar="FILE",
    )

    @property
    def kind(self) -> Kind | None:
        """What --each says."""
        found = self.each if self.each is not None or self.off else "head"
        return cast("Kind | None", found)

    @property
    def how(self) -> Put:
        """What --with says."""
        return cast(Put, self.put)
