"""Options → the comparisons to make: who can take part in which measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.bench.peers import bounds
from tests.bench.peers.cases import LONG, NEW_TOKENS, Case, Comparison, Measure, Peer, Side
from tests.bench.peers.ours import Gptcli
from tests.bench.weights import sizes
from tests.bench.weights.places import Places


@dataclass(frozen=True)
class Wish:
    """What to measure. Decoding goes over all threads and depths, the rest over most threads."""

    measures: Sequence[str]
    dtypes: Sequence[str]
    threads: Sequence[int]
    depths: Sequence[int]
    new_tokens: int = NEW_TOKENS


def too_deep(wish: Wish, context: int) -> list[int]:
    """The depths that are asked for and that the model's context has no room for."""
    depths = {*(wish.depths if {"decode", "read"} & {*wish.measures} else ())}
    depths |= {LONG} if "long" in wish.measures else set()
    return sorted(depth for depth in depths if depth + wish.new_tokens > context)


def cases(wish: Wish, context: int) -> Iterator[Case]:
    """One after the other, without those that are too deep."""
    most = max(wish.threads)
    for measure in wish.measures:
        every = wish.threads if measure == "decode" else [most]
        depths: Sequence[int] = [0]
        if measure in ("decode", "read"):
            depths = wish.depths
        elif measure == "avx2":
            depths = [min(wish.depths)]
        elif measure == "long":
            depths = [LONG]
        for threads in every:
            for depth in depths:
                if depth == 0 or depth + wish.new_tokens <= context:
                    yield from (Case(measure, dtype, threads, depth) for dtype in wish.dtypes)


def comparisons(
    wish: Wish, places: Places, ours: Gptcli, peers: Sequence[Peer]
) -> Iterator[Comparison]:
    """The cases that somebody else takes part in."""
    for case in cases(wish, sizes.read(places).context):
        others = list(bounds.sides(case, places, ours))
        for peer in peers:
            measure: Measure | None = peer.measure(case, places)
            if measure is not None:
                others.append(Side(peer.name, measure))
        if others:
            yield Comparison(case, Side(ours.name, ours.measure(case, places)), tuple(others))
