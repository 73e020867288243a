"""What is noted of a request while it is answered, for its line in the log and the metrics."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import cast

from starlette.types import Scope

_KEY = "gptcli.tally"


@dataclass
class Tally:
    """Tokens and times of one request; status is None until the answer begins."""

    began: float = field(default_factory=time.perf_counter)
    status: int | None = None
    first: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failed: str | None = None

    def part_came(self) -> None:
        """Something of the answer is there; the first time counts."""
        if self.first is None:
            self.first = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self.began


def tally_of(scope: Scope) -> Tally:
    """The request's own, made where there is none yet."""
    return cast(Tally, scope.setdefault(_KEY, Tally()))
