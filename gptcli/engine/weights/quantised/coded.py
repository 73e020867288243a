"""Weights in codes of a few bits, as data: what torch dequantises and the CPU kernels pack.

Every weight is a matrix (out, in) of which some rows are read at a time, so that a large one is
never held several times. What its numbers are in float32 is said here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.arrays import quiet
from gptcli.plain import dataclass

Codes = NDArray[np.uint8]
Floats = NDArray[np.float32]


class Coded(Protocol):
    """A weight in codes."""

    @property
    def shape(self) -> tuple[int, int]:
        """Outputs and inputs."""
        ...

    @property
    def name(self) -> str:
        """What to call its form."""
        ...

    def numbers(self, rows: slice) -> Floats:
        """What some rows stand for, (rows, in). Raises ModelError for codes that are no numbers."""
        ...


@dataclass(frozen=True)
class AffineRows:
    """number = scale · (code − zero) + minimum, by groups of columns.

    codes: (rows, in); scales, zeros and minimums: (rows, groups); no minimums are zeros.
    """

    codes: Codes
    scales: Floats
    zeros: Floats
    minimums: Floats | None = None


@dataclass(frozen=True)
class Affine:
    """Whole numbers from 0 on of so many bits, with a scale and a zero point or a minimum a group.

    group: columns that share these, side by side. groups: where they are not side by side, the
    group of each column, (in,). rows: reads some.
    """

    shape: tuple[int, int]
    bits: int
    group: int
    rows: Callable[[slice], AffineRows]
    groups: NDArray[np.intp] | None = None

    @property
    def name(self) -> str:
        """See Coded."""
        return f"{self.bits} bits in groups of {self.group}"

    @quiet
    def numbers(self, rows: slice) -> Floats:
        """See Coded."""
        read = self.rows(rows)
        found = read.codes.astype(np.float32)
        found -= self._spread(read.zeros)
        found *= self._spread(read.scales)
        if read.minimums is not None:
            found += self._spread(read.minimums)
        return found

    def _spread(self, each: Floats) -> Floats:
        return each[:, self.groups] if self.groups is not None else _spread(each, self)


@dataclass(frozen=True)
class Float8Rows:
    """codes: (rows, in), floats of e4m3; scales: (rows, groups)."""

    codes: Codes
    scales: Floats


@dataclass(frozen=True)
class Float8:
    """float8 of e4m3, with a scale for each `group` columns of a row."""

    shape: tuple[int, int]
    group: int
    rows: Callable[[slice], Float8Rows]

    @property
    def name(self) -> str:
        """See Coded."""
        return f"float8 in groups of {self.group}"

    @quiet
    def numbers(self, rows: slice) -> Floats:
        """See Coded."""
        read = self.rows(rows)
        found = E4M3[read.codes]
        found *= _spread(read.scales, self)
        return found


@dataclass(frozen=True)
class Float4Rows:
    """codes: (rows, in), floats of e2m1; scales: (rows, groups), codes of floats themselves."""

    codes: Codes
    scales: Codes


@dataclass(frozen=True)
class Nvfp4:
    """Floats of four bits; `group` of a row share a scale in e4m3, all of them a factor.

    divided: the factor divides, as compressed-tensors has it, and does not multiply.
    """

    shape: tuple[int, int]
    factor: np.float32
    divided: bool
    rows: Callable[[slice], Float4Rows]
    group = 16
    name = "nvfp4"

    @quiet
    def numbers(self, rows: slice) -> Floats:
        """See Coded."""
        read = self.rows(rows)
        scales = E4M3[read.scales]
        scales = scales / self.factor if self.divided else scales * self.factor
        found = E2M1[read.codes]
        found *= _spread(scales, self)
        return found


@dataclass(frozen=True)
class Mxfp4:
    """Floats of four bits; `group` of a row share an exponent of two, stored as it is plus 127."""

    shape: tuple[int, int]
    rows: Callable[[slice], Float4Rows]
    group = 32
    name = "mxfp4"

    @quiet
    def numbers(self, rows: slice) -> Floats:
        """See Coded."""
        read = self.rows(rows)
        exponents = read.scales.astype(np.int32) - 127
        found: Floats = np.ldexp(E2M1[read.codes], _spread(exponents, self))
        return found


class _Grouped(Protocol):
    """A weight whose groups are side by side."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def group(self) -> int: ...


def _spread(each: NDArray[Any], weight: _Grouped) -> NDArray[Any]:
    """(rows, groups) → (rows, in), or what broadcasts to it; the last group may be smaller."""
    return each if each.shape[1] == 1 else each.repeat(weight.group, 1)[:, : weight.shape[1]]


def _floats(exponent: int, mantissa: int, bias: int, *, no_number: bool) -> Floats:
    """What every code of a sign and so many bits of exponent and of mantissa stands for.

    no_number: the largest code of either sign does, as e4m3 has it, which has no infinities.
    """
    codes = np.arange(1 << (exponent + mantissa))
    power, part = codes >> mantissa, (codes & ((1 << mantissa) - 1)) / (1 << mantissa)
    found = np.where(power == 0, np.ldexp(part, 1 - bias), np.ldexp(1 + part, power - bias))
    if no_number:
        found[-1] = np.nan
    return np.concatenate((found, -found)).astype(np.float32)


#: arXiv:2209.05433, and OCP Microscaling Formats 1.0.
E4M3 = _floats(4, 3, 7, no_number=True)
E2M1 = _floats(2, 1, 1, no_number=False)
E4M3.flags.writeable = E2M1.flags.writeable = False
#: The bits of e4m3 other than the sign, all of which are set where it is no number.
E4M3_NONE = 0x7F
#: The exponent of MXFP4 that is no number.
MXFP4_NONE = 0xFF
