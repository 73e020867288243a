"""A smaller model of the same vocabulary, which says how a text may go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gptcli.engine.arrays import Array, host
from gptcli.engine.prompts.common import common_length
from gptcli.engine.runner import Runner

#: New tokens that are read with the first one that is drafted; more are a prompt.
FEW = 32


class Drafter:
    """A runner, and a state of one row that follows a text, back as well.

    vocab: of how many tokens, the first ones, the other model knows the same.
    """

    def __init__(self, runner: Runner, vocab: int) -> None:
        self._runner, self._vocab = runner, vocab
        self._state = runner.new_state()
        self._ids: list[int] = []

    def read(self, ids: Sequence[int]) -> None:
        """Follow a text back, where it is another one from some place on, and take it in but for
        its end, where much of it is new.
        """
        known = min(common_length(self._ids, ids), len(ids) - 1)
        # Ids before the state, each time: it may hold more than was noted, but never less.
        self._ids = self._ids[:known]
        if not self._state.truncate([known]):
            self._ids, known = [], 0
            self._state.clear()
        if len(ids) - known > FEW and len(ids) < self._runner.limit:
            self._go_on(ids[known:-1])

    def after(self, ids: Sequence[int]) -> Iterator[tuple[int, float]]:
        """The likeliest token after the text that was read last, the likeliest behind that, and so
        on, each when it is asked for, with its probability; to the end of the context.
        """
        if len(ids) >= self._runner.limit:
            return
        logits = self._go_on(ids[len(self._ids) :])
        while True:
            token, share = _likeliest(host(logits)[0, : self._vocab])
            yield token, share
            if len(self._ids) >= self._runner.limit:
                return
            logits = self._runner.decode([token], self._state)
            self._ids.append(token)

    def _go_on(self, ids: Sequence[int]) -> Array:
        logits = self._runner.prefill([ids], self._state)
        self._ids += ids
        return logits


def _likeliest(logits: Array) -> tuple[int, float]:
    token = int(logits.argmax())
    return token, float(1 / np.exp(logits - logits[token]).sum())
