"""The frozen dataclasses that cross rooms. They hold plain values: no tensors, no open files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path


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


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn from the logits. The defaults of each field leave them alone.

    temperature 0 is greedy; top_k 0, top_p 1 and min_p 0 are off; repeat_penalty divides positive
    and multiplies negative logits of tokens already seen (1 is off), presence_penalty and
    frequency_penalty are subtracted once, or once per occurrence, for tokens already generated.
    logit_bias pairs a token id with a number that is added to its logit.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class SamplingWish:
    """What the user asked of the sampler: None where nothing was said.

    The backend fills the gaps from the model's own generation settings. logit_bias names a token
    by its id (digits) or by its text, since only the backend can turn text into ids.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Request:
    """One completion to be made.

    max_new_tokens: None means until the model ends or the context is full.
    stop: texts at which the completion ends; they are not part of it.
    samples: how many completions of the same prompt; sample i uses seed + i.
    logprobs: None for none, else how many alternatives to give beside each drawn token.
    special: the prompt may contain control tokens (`<|im_end|>`), which are then obeyed.
    heal: where the prompt ends within a token, go back to where that begins (see text.healing).
    fail_below: end a completion, without the token, where the raw probability of the one that was
    drawn is less. Of tokens drawn to heal the prompt that is their share of those that fit it.
    """

    prompt: str
    sampling: SamplingWish = field(default_factory=SamplingWish)
    max_new_tokens: int | None = 256
    stop: tuple[str, ...] = ()
    seed: int = 0
    samples: int = 1
    logprobs: int | None = None
    special: bool = False
    heal: bool = False
    fail_below: float | None = None


@dataclass(frozen=True)
class TokenInfo:
    """A token with its log-probability (natural log) under the model's raw distribution.

    `token` is its text, U+FFFD where its bytes are no whole character; `bytes` are exact.
    """

    token: str
    id: int
    logprob: float
    bytes: bytes
    top_logprobs: tuple[TokenInfo, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """A piece of completion `index`: whole characters only, possibly none.

    finish_reason is set on the last chunk of a completion: "stop" (an end token or a stop string),
    "length" (the token limit or the context was reached) or "uncertain" (see Request.fail_below).
    """

    text: str
    index: int = 0
    tokens: tuple[TokenInfo, ...] = ()
    finish_reason: str | None = None


@dataclass(frozen=True)
class Notice:
    """Something the user should know, for stderr: a prompt that ends in a space, a full context."""

    subject: str
    text: str


@dataclass(frozen=True)
class Uncertain:
    """Why a completion ended as "uncertain": the token, and its place in the text, from 1.

    probability is what was held to Request.fail_below.
    """

    index: int
    position: int
    token: TokenInfo
    probability: float


@dataclass(frozen=True)
class Usage:
    """What a request took. Seconds are wall-clock; memory is the process's peak, in bytes.

    prompt_seconds runs from the start to the first token, decode_seconds from the first token to
    the last (of all samples together). `sampling` is what was really used. completion_tokens
    counts tokens of text: an end token is not one of them, nor is a token that only draws anew
    what was taken back of the prompt. `uncertain` tells of the completions that ended so.
    reused_tokens of the prompt were in the KV cache already. adapters are named as given.
    activations: as in `inspection.token.Source`.
    """

    prompt_tokens: int
    completion_tokens: int
    model: str
    device: str
    dtype: str
    seed: int
    samples: int
    sampling: Sampling
    prompt_seconds: float
    decode_seconds: float
    peak_memory: int | None = None
    uncertain: tuple[Uncertain, ...] = ()
    reused_tokens: int = 0
    adapters: tuple[str, ...] = ()
    activations: str | None = None


@dataclass(frozen=True)
class Progress:
    """How far a long task is; `total` is None where it is not known. Units are bytes, or steps."""

    label: str
    done: int
    total: int | None = None


@dataclass(frozen=True)
class AdapterRef:
    """A LoRA adapter's directory, and what its updates are multiplied by beside its own scale."""

    path: Path
    scale: float = 1.0

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return str(self.path) if self.scale == 1 else f"{self.path}={self.scale:g}"


@dataclass(frozen=True)
class ModelDir:
    """A model on this disk, ready to be opened.

    name: what the user called it; path: the directory with config.json and the weights;
    source: where it came from, in words a user can act on; managed: gptcli put it there and may
    remove it.
    """

    name: str
    path: Path
    source: str
    managed: bool = False
