"""Rotary positions, and how longer contexts stretch them."""

from __future__ import annotations

from gptcli.plain import dataclass


@dataclass(frozen=True)
class LinearScaling:
    """Positions are divided by `factor` (position interpolation, arXiv:2306.15595)."""

    factor: float


@dataclass(frozen=True)
class Llama3Scaling:
    """Low frequencies are divided by `factor`, high ones kept, those between blended.

    A frequency is low when its wavelength is longer than original_context / low_freq_factor and
    high when shorter than original_context / high_freq_factor (Llama 3.1's published scheme).
    """

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_context: int


@dataclass(frozen=True)
class YarnScaling:
    """Frequencies that turn seldom in the original context are divided by `factor`, others kept.

    Between `beta_slow` and `beta_fast` turns the two are blended; `truncate` rounds these borders
    outwards to whole features. Cosines and sines are multiplied by `attention_factor`
    (arXiv:2309.00071).
    """

    factor: float
    original_context: int
    attention_factor: float
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    truncate: bool = True


@dataclass(frozen=True)
class DynamicScaling:
    """The base grows with the context in use beyond the original one ("dynamic NTK").

    `factor` says how fast. See `rope.inverse_frequencies` for which length counts.
    """

    factor: float
    original_context: int


@dataclass(frozen=True)
class LongRopeScaling:
    """Each frequency is divided by a number of its own (arXiv:2402.13753).

    `short` holds where the context in use is at most the original one, `long` beyond it; cosines
    and sines are multiplied by `attention_factor` in both.
    """

    short: tuple[float, ...]
    long: tuple[float, ...]
    original_context: int
    attention_factor: float


Scaling = LinearScaling | Llama3Scaling | YarnScaling | DynamicScaling | LongRopeScaling


@dataclass(frozen=True)
class Rope:
    """Rotary positions (arXiv:2104.09864) over the first `dim` features of each head.

    Feature j is paired with feature j + dim/2, as most weights for transformers are stored, or,
    where `interleaved`, feature 2j with 2j + 1. turning: only so many pairs turn, the first, each
    as fast as if all did; None: all.
    """

    theta: float
    dim: int
    scaling: Scaling | None = None
    interleaved: bool = False
    turning: int | None = None


@dataclass(frozen=True)
class Temperature:
    """Queries, times 1 + scale * ln(1 + (position + first) // length) (arXiv:2501.19399)."""

    scale: float
    length: int
    first: int = 0
