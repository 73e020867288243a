"""How fast is a model on this machine? What can be measured, and the figures.

Rates are in tokens per second, bandwidths in bytes per second.
"""

from __future__ import annotations

import statistics
from collections.abc import Generator
from dataclasses import dataclass

from gptcli.types.events import Notice, Progress
from gptcli.types.question import Question
from gptcli.types.token import Source

#: What can be measured: the first three in this process, the others in processes of their own.
MEASURES = ("prefill", "decode", "batch", "start", "memory")
#: Depths at which decoding is measured where none are asked for.
DEPTHS = (16, 1000)
#: Tokens of each prompt of a batch, and tokens that are generated after it.
BATCH_PROMPT, BATCH_NEW = 16, 64


@dataclass(frozen=True)
class Rounds:
    """A figure as it was in each round, at least one."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one, the mean of the middle two of an even number."""
        return statistics.median(self.values)

    @property
    def least(self) -> float:
        """The smallest one."""
        return min(self.values)

    @property
    def most(self) -> float:
        """The largest one."""
        return max(self.values)


@dataclass(frozen=True)
class DecodeSpeed:
    """Decoding after a context of `depth` tokens.

    bytes: what a token reads of weights, keys and values, on average.
    """

    depth: int
    rate: Rounds
    bytes: float


@dataclass(frozen=True)
class Speeds:
    """What a model does once it is open. None, or nothing, for what was not asked for.

    threads: of a CPU, None on a GPU; kernels: their set of instructions, None where torch
    computes; weight_bytes: the weights that a token of one text reads, state_bytes: the states in
    place of attention. bandwidth: how fast as many threads read memory, measured beside decoding.
    """

    source: Source
    threads: int | None
    kernels: str | None
    weight_bytes: int
    prefill: Rounds | None = None
    decode: tuple[DecodeSpeed, ...] = ()
    batch: Rounds | None = None
    bandwidth: Rounds | None = None
    state_bytes: int = 0

    def share(self, decode: DecodeSpeed) -> float | None:
        """The part of the bandwidth that decoding needs to read what it reads; by the medians.

        More than 1 where caches hold what is read.
        """
        if self.bandwidth is None:
            return None
        return decode.bytes * decode.rate.median / self.bandwidth.median


@dataclass(frozen=True)
class Processes:
    """What a process takes that completes one token of a short prompt, from its start to its end.

    seconds: by the clock on the wall; peak: bytes of main memory that it held at most. None for
    what was not asked for, and for a peak that the system does not tell.
    """

    seconds: Rounds | None = None
    peak: Rounds | None = None


@dataclass(frozen=True)
class Benchmark:
    """All of it."""

    request: BenchRequest
    speeds: Speeds
    processes: Processes


@dataclass(frozen=True)
class BenchRequest(Question[Generator[Progress | Notice, None, Speeds]]):
    """What to measure, and on how much.

    prompt_tokens: of prefill; depths, new_tokens: how long a context decoding goes on from, and
    for how many tokens; None for those of DEPTHS that the model's context has room for. batch:
    prompts at once. rounds: how often all is measured.
    """

    asks = "be measured"

    measures: tuple[str, ...] = MEASURES
    depths: tuple[int, ...] | None = None
    prompt_tokens: int = 512
    new_tokens: int = 128
    batch: int = 16
    rounds: int = 3
