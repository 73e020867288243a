"""How the next token is drawn from the logits, settled: nothing is left to a default."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from gptcli.plain import dataclass
from gptcli.types.rules import NO_RULES, Rules
from gptcli.types.samplers import BREAKERS, DEFAULT_ORDER, SAMPLERS


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn from the logits. The defaults of each field leave them alone.

    temperature 0 is greedy; top_k 0, top_p 1 and min_p 0 are off; repeat_penalty divides positive
    and multiplies negative logits of tokens already seen (1 is off), presence_penalty and
    frequency_penalty are subtracted once, or once per occurrence, for tokens already generated.
    logit_bias pairs a token id with a number that is added to its logit. repeat_last: the repeat
    penalty is for so many of the tokens generated last, 0 for all and the prompt's. rules: those of
    the model's own files.

    dry_multiplier 0, xtc_probability 0, typical_p 1, top_n_sigma 0 or less and dynatemp_range 0 are
    off, too. dry_breaks: the sequence breakers in ids, a token that one begins in and those that
    end it each. samplers: their order, where it is not our own; what is not there is off. banned:
    texts that never come; they are no matter of a single distribution, and no sampler's.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    repeat_last: int = 0
    rules: Rules = NO_RULES
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = 64
    dry_sequence_breakers: tuple[str, ...] = BREAKERS
    dry_breaks: tuple[tuple[int, tuple[int, ...]], ...] = ()
    top_n_sigma: float = 0.0
    typical_p: float = 1.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0
    samplers: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()

    @property
    def dry(self) -> bool:
        """Whether what would repeat a sequence is made less likely."""
        return self.dry_multiplier != 0 and self.dry_penalty_last_n > 0

    @property
    def xtc(self) -> bool:
        """Whether the likeliest tokens may be left out, which takes a random number."""
        return self.xtc_probability > 0 and self.xtc_threshold <= 0.5

    @property
    def dynamic(self) -> bool:
        """Whether the temperature follows the entropy. One of 0 is greedy in any case."""
        return self.dynatemp_range > 0 and self.temperature != 0

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The samplers in the order in which they work, by their names in `types.samplers`.

        A temperature that follows what is left comes last, as in llama.cpp.
        """
        if not self.samplers:
            return SAMPLERS if self.dynamic else DEFAULT_ORDER
        greedy = self.temperature == 0 and "temperature" not in self.samplers
        return (*self.samplers, "temperature") if greedy else self.samplers

    @cached_property
    def breaks(self) -> dict[int, list[tuple[int, ...]]]:
        """dry_breaks by the token that a breaker begins in."""
        found: dict[int, list[tuple[int, ...]]] = {}
        for head, tail in self.dry_breaks:
            found.setdefault(head, []).append(tail)
        return found

    @property
    def told(self) -> Sampling:
        """The same, without what only drawing needs."""
        return replace(self, dry_breaks=()) if self.dry_breaks else self
