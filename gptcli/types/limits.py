"""What numbers may be: closed ranges, with the reason for what lies outside."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """The closed range that a number must lie in; `above` excludes the lower end."""

    low: float
    high: float = math.inf
    above: bool = False

    def reason(self, value: float) -> str | None:
        """Why `value` is out of range, or None if it is in it. NaN and infinities are out."""
        too_low = value <= self.low if self.above else value < self.low
        # Compared, not converted: a whole number may be too large for a float. NaN compares false.
        if -math.inf < value < math.inf and not too_low and value <= self.high:
            return None
        # Spelt out, such a number may fill pages.
        shown = "a number that large" if abs(value) >= 1e40 else value
        low, high = _plain(self.low), _plain(self.high)
        if math.isfinite(self.high):
            span = f"above {low} and at most {high}" if self.above else f"from {low} to {high}"
            return f"must be {span}, not {shown}"
        return f"must be {f'more than {low}' if self.above else f'{low} or more'}, not {shown}"


def _plain(number: float) -> str:
    """A limit as people write it: 2147483647, not 2.14748e+09."""
    return str(int(number)) if math.isfinite(number) and number == int(number) else f"{number:g}"


_MOST_TOKENS = 2**31 - 1

#: What each numeric setting may be; flags, environment and user file are all held to it.
LIMITS: dict[str, Limit] = {
    "max_new_tokens": Limit(-1, _MOST_TOKENS),
    "ctx_size": Limit(1, _MOST_TOKENS),
    "temperature": Limit(0),
    "top_k": Limit(0, _MOST_TOKENS),
    "top_p": Limit(0, 1, above=True),
    "min_p": Limit(0, 1),
    "repeat_penalty": Limit(0, above=True),
    "presence_penalty": Limit(-100, 100),
    "frequency_penalty": Limit(-100, 100),
    # Short enough to be typed again; sample i has seed + i, and after the last seed comes 0.
    "seed": Limit(0, 2**32 - 1),
    "samples": Limit(1, 4096),
    "logprobs": Limit(0, 1000),
    "rows": Limit(1, _MOST_TOKENS),
    "steps": Limit(1, _MOST_TOKENS),
    "threads": Limit(1, 4096),
    "stride": Limit(1, _MOST_TOKENS),
    "depth": Limit(1, 100),
    "width": Limit(1, 10_000),
    "joint_min_p": Limit(0, 1),
    "shots": Limit(0, _MOST_TOKENS),
    "orders": Limit(2, 1000),
    "fail_below": Limit(0, 1, above=True),
    "tokens": Limit(1, _MOST_TOKENS),
    "rounds": Limit(1, 1000),
}
