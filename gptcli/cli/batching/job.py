"""What a command makes of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gptcli.batches.asked import Dialect
from gptcli.types.compute import Compute
from gptcli.types.sampling import SamplingWish
from gptcli.ui.views.batch import Body


@dataclass(frozen=True)
class Job:
    """What a command makes of rows.

    dialect: how they ask, given the run's seed; body: an answer in JSON. groups: the options that
    change an answer, beside the model's; more: what else does. draws: whether a seed changes it.
    """

    command: str
    compute: Compute
    sampling: SamplingWish
    dialect: Callable[[int], Dialect]
    body: Body
    groups: Sequence[Any] = ()
    more: dict[str, Any] = field(default_factory=dict)
    draws: bool = True
