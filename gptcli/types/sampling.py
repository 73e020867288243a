"""How the next token is drawn from the logits."""

from __future__ import annotations

from dataclasses import dataclass


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
