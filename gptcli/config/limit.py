"""What a number may be: a closed range, with the reason for what lies outside."""

from __future__ import annotations

import math
import sys

from gptcli.plain import dataclass

_LARGEST = sys.float_info.max


@dataclass(frozen=True)
class Limit:
    """The closed range that a number must lie in; `above` excludes the lower end."""

    low: float
    high: float = math.inf
    above: bool = False

    def reason(self, value: float) -> str | None:
        """Why `value` is out of range, or None if it is in it. NaN and infinities are out."""
        too_low = value <= self.low if self.above else value < self.low
        # Compared, not converted: a whole number may be too large for a float, which is what all
        # are reckoned in. NaN compares false.
        if -_LARGEST <= value <= _LARGEST and not too_low and value <= self.high:
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


#: More tokens than any context holds; what counts tokens or rows ends here.
MOST = 2**31 - 1
