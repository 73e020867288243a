"""What a model is asked for a growth, and how its answer becomes nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gptcli.loom.node import Piece, Way
from gptcli.loom.tale import Settled, Tale
from gptcli.plain import dataclass
from gptcli.types.completion import Chunk, Event, Request, TokenInfo, Usage
from gptcli.types.events import Notice
from gptcli.types.token import Source


@dataclass(frozen=True)
class Wish:
    """How stretches are drawn. request: all but the prompt, the seed and the number of samples.

    model: as it is asked for. settings: the same in plain JSON values; settled: what of them is
    known once a text is drawn.
    """

    request: Request
    model: str
    settings: Mapping[str, Any]
    settled: Callable[[Usage], Mapping[str, Any]] = lambda _: {}


class Growth:
    """Nodes that a model is writing after another."""

    def __init__(self, tale: Tale, parent: int, count: int, wish: Wish) -> None:
        """Makes the nodes. Raises InputError where there is no room for them."""
        self._tale, self._wish = tale, wish
        self._way: Way | None = None
        way = Way(Source(wish.model, "", None), wish.settings)
        self.ids = tale.begin(parent, count, way)
        seed = tale.nodes[self.ids[0]].seed or 0
        prompt = tale.text(parent)
        self.request = replace(wish.request, prompt=prompt, samples=count, seed=seed)

    def take(self, event: Event) -> Notice | None:
        """An event of the answer; a notice is handed on."""
        if isinstance(event, Notice):
            return event
        if isinstance(event, Usage):
            self._way = Way(event.source, {**self._wish.settings, **self._wish.settled(event)})
        if isinstance(event, Chunk):
            infos = [piece for info in event.tokens if (piece := _piece(info))]
            end = None if event.ending is None else _piece(event.ending, ends=True)
            pieces = infos if end is None else [*infos, end]
            self._tale.grow(self.ids[event.index], event.text, pieces, event.finish_reason)
        return None

    def settle(self) -> Settled:
        """It is over, or was stopped."""
        return self._tale.settle(self._way)


def _piece(info: TokenInfo, *, ends: bool = False) -> Piece | None:
    # A server may tell what no JSON holds.
    return Piece(info.bytes, info.logprob, ends) if math.isfinite(info.logprob) else None
