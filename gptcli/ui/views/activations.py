"""What was written of a model's numbers: a line, and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gptcli.types.activations import ActivationsWritten
from gptcli.ui.views import source
from gptcli.units import counted, size


def line(found: ActivationsWritten) -> str:
    """In words."""
    what = counted(found.rows, "row") + f" of {counted(found.texts, 'text')}"
    each = f"{counted(len(found.layers), 'layer')} of {counted(found.width, 'number')} each"
    return f"wrote {found.file} ({size(found.size)}): {what}, {each}; {source.where(found.source)}"


def as_json(found: ActivationsWritten) -> dict[str, Any]:
    """All of it."""
    numbers = {name: value for name, value in asdict(found).items() if name != "source"}
    return {"object": "activations", **source.fields(found.source), **numbers}
