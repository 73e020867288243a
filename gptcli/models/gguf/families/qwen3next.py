"""Qwen3-Next: in its files memories read through matrices of their own, as in Qwen3.5's.

So it becomes what has the same maths, Qwen3.5 with experts, but for strengths and steps: those of
the memories that share a head of queries follow each other.
"""

from __future__ import annotations

from typing import Any

from gptcli.formats.gguf.taken import PartOrder
from gptcli.models.gguf.families import qwen35, qwen35moe
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK, LAYER

_READ = ("in_proj_b", "in_proj_a")


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `qwen3next` file. Raises ModelError for what is not supported, by name."""
    fields.only(qwen35moe.KEYS)
    linear = qwen35.linear_config(fields)
    # Only files of Qwen3.5 have them by turns.
    linear.pop("linear_value_heads", None)
    return qwen35moe.mixed(fields, linear, _recurrence)


def _recurrence(size: Sizes, config: dict[str, Any]) -> list[Take]:
    heads, groups = config["linear_num_value_heads"], config["linear_num_key_heads"]
    shape, source = (2 * heads, size.width), f"{BLOCK}.ssm_ba.weight"
    apart = [
        Take(
            f"{LAYER}.linear_attn.{name}.weight",
            source,
            shape,
            order=PartOrder(groups, 2),
            part=(at * heads, (at + 1) * heads),
            stored=(heads, size.width),
        )
        for at, name in enumerate(_READ)
    ]
    found = qwen35.recurrence(size, config)
    return [*apart, *(take for take in found if not any(part in take.name for part in _READ))]
