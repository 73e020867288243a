"""What is to be said of how a model is packed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gptcli.types.events import Notice


def rounded_anew(subject: str, forms: Sequence[str], changed: float) -> Iterator[Notice]:
    """What it has cost that weights of less than 8 bits became other blocks.

    forms: what they are stored in; changed: see `Rounding.changed`.
    """
    if forms:
        text = f"is stored in blocks of few bits ({', '.join(forms)}), which are rounded once more"
        text += f": they change by {changed:.1%}. Without --dtype they stay as they are"
        yield Notice(subject, text)
