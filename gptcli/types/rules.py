"""What a model's own files forbid, favour or delay, beyond what a user can ask for."""

from __future__ import annotations

from functools import cached_property

from gptcli.plain import dataclass


@dataclass(frozen=True)
class Rules:
    """Rules for drawing, off by default; ids are those of tokens that have a logit.

    names: those of generation_config.json that are on. forbidden: never drawn; forbidden_first:
    not as the first token. biases: a sequence of ids and a number, -inf to forbid, which is added
    to the last one's logit where the others end the text, its prompt included. prompt_penalty:
    above 1 favours the prompt's tokens. no_repeat: sequences of so many ids come once, 0 is off.
    least, least_new: no end before the text, or what was generated of it, has so many tokens.
    ending: from the first number of generated tokens on, ends grow likelier by the second's
    powers. ends: the tokens that end a text.
    """

    names: tuple[str, ...] = ()
    forbidden: tuple[int, ...] = ()
    forbidden_first: tuple[int, ...] = ()
    biases: tuple[tuple[tuple[int, ...], float], ...] = ()
    forbidden_sequences: tuple[tuple[int, ...], ...] = ()
    prompt_penalty: float = 1.0
    no_repeat: int = 0
    least: int = 0
    least_new: int = 0
    ending: tuple[int, float] | None = None
    ends: tuple[int, ...] = ()

    @property
    def favours(self) -> bool:
        """Whether some tokens are made likelier, or less likely, but none impossible."""
        return bool(self.biases) or self.prompt_penalty != 1

    @property
    def restrict(self) -> bool:
        """Whether any of the others is on."""
        listed = self.forbidden or self.forbidden_first or self.forbidden_sequences
        return bool(listed or self.no_repeat or self.least or self.least_new or self.ending)

    @cached_property
    def biases_after(self) -> Sequences:
        """The biases by the id that stands before the last one, None for a single id."""
        return _by_the_one_before(self.biases)

    @cached_property
    def forbidden_after(self) -> Sequences:
        """The same of the forbidden sequences, whose bias is -inf."""
        return _by_the_one_before(tuple((ids, float("-inf")) for ids in self.forbidden_sequences))


NO_RULES = Rules()

#: The id before the last one → (the ids before the last one, the last one, its bias) each.
Sequences = dict[int | None, list[tuple[tuple[int, ...], int, float]]]


def _by_the_one_before(biases: tuple[tuple[tuple[int, ...], float], ...]) -> Sequences:
    found: Sequences = {}
    for ids, amount in biases:
        found.setdefault(ids[-2] if len(ids) > 1 else None, []).append((ids[:-1], ids[-1], amount))
    return found
