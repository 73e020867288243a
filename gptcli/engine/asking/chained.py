"""Texts of which the device draws the next token while the one before is on its way to Python.

What was drawn is known a step later. A text that ends has then run a token more than it needed to:
what stands behind its end goes with the next text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gptcli.engine.arrays import Array, indices, namespace
from gptcli.engine.asking.drawing import next_ids
from gptcli.engine.asking.draws import Drawn, Text
from gptcli.engine.asking.on_device import OnDevice
from gptcli.engine.runner import Chain
from gptcli.plain import dataclass

#: Uniform numbers of a text that go to the device at once.
_BLOCK = 64


@dataclass
class _Pending:
    """What is drawn and not known yet. ids: (rows,); fetched: those, and whether each is fine."""

    logits: Array
    ids: Array
    fetched: Callable[[], list[Any]]


class Chained:
    """Texts of the rows of a state, whose logits are known and of which nothing is drawn yet.

    limit: tokens of each. ran: what is told of tokens that the state holds.
    """

    def __init__(
        self,
        chain: Chain,
        texts: Sequence[Text],
        logits: Array,
        limit: int,
        ran: Callable[[Sequence[int]], None],
    ) -> None:
        self._chain, self._texts, self._left, self._ran = chain, list(texts), limit, ran
        self._device = OnDevice(texts, logits, logits.shape[-1])
        self._block: Array | None = None
        self._used = 0
        self._pending: _Pending | None = self._begun(logits, 0)

    def draw(self) -> list[Drawn]:
        """A token for each text, noted in its history; the next is begun. See `draw_rows`."""
        pending = self._pending
        assert pending is not None
        self._left -= 1
        self._pending = None
        if self._left:
            self._pending = self._begun(self._chain.next(pending.ids), 1)
        ids, fine = pending.fetched()
        if not all(fine):
            self._fail(pending.logits)
        if self._left:
            self._ran(ids)
        for text, token in zip(self._texts, ids, strict=True):
            if self._device.sampling.temperature != 0:
                text.generator.random()
            text.history.generated.append(token)
        return [
            Drawn(text.sample, token, token in text.draws.end_ids)
            for text, token in zip(self._texts, ids, strict=True)
        ]

    def pick(self, rows: Sequence[int]) -> None:
        """Go on with these only, as the state does, of which the next token is drawn already."""
        self._texts = [self._texts[row] for row in rows]
        pending = self._pending
        if pending is None:
            return
        xp, index, fetched = namespace(pending.ids), indices(rows, pending.ids), pending.fetched
        self._device.pick(index)
        if self._block is not None:
            self._block = xp.take(self._block, index, axis=1)
        self._pending = _Pending(
            xp.take(pending.logits, index, axis=0),
            xp.take(pending.ids, index, axis=0),
            lambda: [[each[row] for row in rows] for each in fetched()],
        )

    def _begun(self, logits: Array, unknown: int) -> _Pending:
        """The draw from logits, before which so many draws of a text are not known yet."""
        ids, fine = self._device.draw(logits, self._chances(unknown))
        xp = namespace(ids)
        both = xp.stack((ids, xp.astype(fine, ids.dtype)))
        return _Pending(logits, ids, self._chain.fetch(both))

    def _chances(self, unknown: int) -> Array | None:
        if self._device.sampling.temperature == 0:
            return None
        if self._block is None or self._used == len(self._block):
            ahead = [text.generator.ahead(unknown + _BLOCK)[unknown:] for text in self._texts]
            self._block, self._used = self._chain.put(list(zip(*ahead, strict=True))), 0
        found = self._block[self._used]
        self._used += 1
        return found

    def _fail(self, logits: Array) -> None:
        """Raise as whoever draws in Python does."""
        histories = [text.history for text in self._texts]
        generators = [text.generator for text in self._texts]
        next_ids(logits, self._device.sampling, histories, generators)
        raise AssertionError("the device found numbers that are none, where Python finds none")
