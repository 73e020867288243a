"""What became of a constraint, as JSON."""

from __future__ import annotations

from typing import Any

from gptcli.types.constraints import ConstraintUse


def as_json(use: ConstraintUse | None) -> dict[str, Any]:
    """What became of a constraint, where there was one."""
    if use is None:
        return {}
    unfinished = [{"index": each.index, "missing": each.missing} for each in use.unfinished]
    repaired = [{"index": each.index, "text": each.text} for each in use.repaired]
    told = {"steps": use.steps, "decided": use.decided}
    return {"constraint": told | {"unfinished": unfinished, "repaired": repaired}}
