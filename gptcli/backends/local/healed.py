"""A prompt that ends within a token, as it is drawn anew: see `text.healing`."""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.backends.local.open_model import OpenModel
from gptcli.text.healing import Healing, heal


class Healed:
    """What is taken back of a prompt, and what may be drawn in its place."""

    def __init__(self, model: OpenModel, found: Healing) -> None:
        self.ids, self.taken = found.ids, found.taken
        self._model, self._found = model, found

    def draws(self, limit: int) -> int:
        """How many tokens may be drawn: those of the limit, and those that only heal."""
        if limit <= 0:
            return 0
        return min(limit + len(self.taken), self._model.runner.limit - len(self.ids))

    def fits(self, drawn: Sequence[int]) -> list[int] | None:
        """The tokens that may come after those drawn, so that the prompt is spelled anew."""
        # Every token has a byte at least.
        if len(drawn) >= len(self.taken):
            return None
        bytes_of = self._model.tokenizer.bytes_of
        return self._found.allowed(sum(len(bytes_of(token)) for token in drawn))


def healed(model: OpenModel, prompt: Sequence[int]) -> Healed | None:
    """What to take back of a prompt, None for nothing."""
    special, bytes_of = model.tokenizer.is_special, model.tokenizer.bytes_of
    pieces = [None if special(token) else bytes_of(token) for token in prompt]
    found = heal(model.token_index, prompt, pieces)
    return Healed(model, found) if found.taken else None
