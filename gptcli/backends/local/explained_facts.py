"""What the words of an explanation need to know of a model."""

from __future__ import annotations

from gptcli.engine.model.spec import ModelSpec
from gptcli.types.explain import Facts


def facts_of(spec: ModelSpec) -> Facts:
    """The facts of a spec."""
    if spec.learned_positions:
        positions = "table"
    elif spec.alibi is not None:
        positions = "distance"
    else:
        turned = any(each.rope for each in spec.each_layer)
        positions = "rotation" if turned else "none"
    return Facts(
        width=spec.width,
        layers=spec.layers,
        attending=len(spec.attending),
        carrying=len(spec.carrying),
        heads=spec.heads,
        group=spec.group,
        head_dim=spec.head_dim,
        hidden=spec.hidden,
        vocabulary=spec.vocab,
        tied=spec.tied,
        side_by_side=spec.blocks != "serial",
        experts=spec.experts.count if spec.experts else 0,
        positions=positions,  # type: ignore[arg-type]
    )
