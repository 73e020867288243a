"""What stands before the token to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from gptcli.plain import dataclass


@dataclass
class History:
    """The prompt, and what was generated after it, in ids."""

    prompt: Sequence[int] = ()
    generated: list[int] = field(default_factory=list)

    def tail(self, count: int) -> list[int]:
        """The last `count` ids, or all that there are."""
        found = self.generated[-count:] if count else []
        missing = count - len(found)
        return [*(self.prompt[-missing:] if missing else ()), *found]
