"""What is to be said of how a model is packed."""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.engine.cpu.packing.chosen import anew
from gptcli.engine.cpu.packing.parameters import Parameters
from gptcli.engine.cpu.packing.sections import Kinds
from gptcli.engine.describe import Described
from gptcli.formats import quantization
from gptcli.types.events import Notice


def rounded_anew(described: Described, kinds: Kinds, changed: float) -> Iterator[Notice]:
    """What it has cost that weights of less than 8 bits became other blocks.

    changed: see `Rounding.changed`.
    """
    if not quantization.in_codes(described.config.get, described.stored):
        return
    before = anew(Parameters(described, exact=True), kinds, described.spec)
    if before:
        text = f"is stored in blocks of few bits ({', '.join(before)}), which are rounded once more"
        text += f": they change by {changed:.1%}. Without --dtype they stay as they are"
        yield Notice(str(described.stored.place), text)
