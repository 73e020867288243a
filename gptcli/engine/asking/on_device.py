"""The draw of tokens where their logits are, with nothing that waits for what is drawn.

The same stages with the same numbers as in `sampling`, of what texts may be drawn by that is no
matter of Python: what came before is counted there as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.draws import Draws, Text
from gptcli.engine.asking.filters import largest
from gptcli.engine.asking.sampling import filtered
from gptcli.types.sampling import Sampling


def can_be_drawn(draws: Draws) -> bool:
    """Whether nothing but the logits, and what was drawn, decides what comes next."""
    sampling = draws.sampling
    asked = draws.fitting or draws.grammar or draws.forced or draws.ban
    told = draws.logprobs is not None or sampling.logit_bias
    ruled = sampling.rules.favours or sampling.rules.restrict
    return not (asked or told or ruled or sampling.dry or sampling.xtc)


class OnDevice:
    """Draws for texts of which nothing is drawn yet. like: an array where the logits are."""

    def __init__(self, texts: Sequence[Text], like: Array, vocab: int) -> None:
        self.sampling = sampling = texts[0].draws.sampling
        xp = namespace(like)
        shape, device = (len(texts), vocab), like.device
        self._rows = xp.arange(len(texts), dtype=xp.int64, device=device)
        #: How often each token was drawn, and how often of late.
        self._times = self._late = None
        self._drawn: list[Array] = []
        if sampling.presence_penalty or sampling.frequency_penalty:
            self._times = xp.zeros(shape, dtype=xp.float32, device=device)
        if sampling.repeat_penalty != 1:
            self._late = xp.zeros(shape, dtype=xp.float32, device=device)
            for row, text in enumerate(texts if not sampling.repeat_last else ()):
                self._late[row, arrays.indices(sorted(set(text.history.prompt)), like)] = 1

    def pick(self, rows: Array) -> None:
        """Keep these rows only."""
        xp = namespace(rows)
        self._rows = self._rows[: rows.shape[0]]
        self._drawn = [xp.take(ids, rows, axis=0) for ids in self._drawn]
        if self._times is not None:
            self._times = xp.take(self._times, rows, axis=0)
        if self._late is not None:
            self._late = xp.take(self._late, rows, axis=0)

    def draw(self, logits: Array, chances: Array | None) -> tuple[Array, Array]:
        """An id for each row of (rows, vocab), and whether all was a number; (rows,) both.

        chances: a uniform number for each row, None where the draw is greedy.
        """
        xp = namespace(logits)
        fine = xp.isfinite(largest(logits))[:, 0]
        for name in _order(self.sampling):
            if name == "penalties":
                logits = self._punished(logits)
                fine = fine & xp.isfinite(largest(logits))[:, 0]
            else:
                logits = filtered(name, logits, self.sampling)
        if chances is None:
            ids = xp.argmax(logits, axis=-1)
        else:
            ids = arrays.places_at_shares(arrays.softmax(logits), chances)
            # Of what is no number there is no place.
            ids = xp.clip(ids, 0, logits.shape[-1] - 1)
        self._note(ids)
        return ids, fine

    def _punished(self, logits: Array) -> Array:
        """See `penalties`."""
        xp, sampling = namespace(logits), self.sampling
        if self._late is not None:
            penalty = sampling.repeat_penalty
            punished = xp.where(logits > 0, logits / penalty, logits * penalty)
            logits = xp.where(self._late > 0, punished, logits)
        if self._times is not None:
            amount = sampling.presence_penalty + sampling.frequency_penalty * self._times
            logits = xp.where(self._times > 0, logits - amount, logits)
        return logits

    def _note(self, ids: Array) -> None:
        if self._times is not None:
            self._times[self._rows, ids] += 1
        if self._late is None:
            return
        self._late[self._rows, ids] += 1
        last = self.sampling.repeat_last
        if last:
            self._drawn.append(ids)
            if len(self._drawn) > last:
                self._late[self._rows, self._drawn.pop(0)] -= 1


def _order(sampling: Sampling) -> Sequence[str]:
    """The samplers that run, by name; greedy, those before the temperature."""
    order = sampling.order
    if sampling.temperature != 0 or "temperature" not in order:
        return order
    return order[: order.index("temperature")]
