"""The walk from a prompt to its next token, and on from there, in the numbers of the very pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from gptcli.backends.local.explained_facts import facts_of
from gptcli.backends.local.looking import check_layer, looked_at
from gptcli.backends.local.next_tokens import LocalWalk
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import ContextError
from gptcli.types.explain import (
    TEMPERATURES,
    Block,
    BlockName,
    Contribution,
    Embedded,
    ExplainRequest,
    Round,
)
from gptcli.types.next_tokens import Candidate, NextTokensRequest
from gptcli.types.parts import AddedPart
from gptcli.types.token import Token

if TYPE_CHECKING:
    from gptcli.engine.arrays import Array
    from gptcli.engine.model.spec import ModelSpec
    from gptcli.engine.probes.attention import AttentionWeights
    from gptcli.engine.probes.state_lengths import StateLengths
    from gptcli.engine.probes.streams import Streams
    from gptcli.engine.runner import Runner

Scored = tuple[tuple[Token, float], ...]


def answer(model: OpenModel, request: ExplainRequest) -> Iterator[Round]:
    """The walk through the model to the next token, and on from there.

    Raises UsageError for a layer that is not there, ContextError where no token has room.
    """
    for layer in request.layers or ():
        check_layer(model, layer, "--layers")
    looked = looked_at(model, request.prompt, request.window, special=request.special)
    asked = NextTokensRequest(
        request.prompt,
        request.sampling,
        rows=request.rows,
        temperatures=TEMPERATURES,
        special=request.special,
    )
    walk = LocalWalk(model, asked, seed=request.seed, ids=looked.ids)
    if walk.room <= 0:
        raise ContextError("prompt", "fills the context, so that no token can be drawn")
    ids = list(looked.ids)
    for number in range(1, min(request.steps, walk.room) + 1):
        # After the first round only the new token runs: the KV cache has the others.
        positions = looked.positions if number == 1 else range(len(ids) - 1, len(ids))
        found = _Rounds(model, request, ids, positions).look(walk, number)
        if number == 1:
            # Both tell of control tokens that are read as text.
            notices = tuple(dict.fromkeys((*looked.notices, *found.distribution.notices)))
            found = replace(found, distribution=replace(found.distribution, notices=notices))
        yield found
        if found.drawn.ends:
            return
        token = found.drawn.token.id
        assert token is not None
        walk.take(token)
        ids.append(token)


class _Rounds:
    """One time through the model."""

    def __init__(
        self, model: OpenModel, request: ExplainRequest, ids: list[int], positions: range
    ) -> None:
        self._model, self._request = model, request
        self._ids, self._positions = ids, positions
        self._runner = model.runner

    def look(self, walk: LocalWalk, number: int) -> Round:
        from gptcli.engine.arrays import length
        from gptcli.engine.probe import Together
        from gptcli.engine.probes.attention import AttentionWeights
        from gptcli.engine.probes.state_lengths import StateLengths
        from gptcli.engine.probes.streams import Streams

        ids, last = self._ids, range(len(self._ids) - 1, len(self._ids))
        # The last position is always looked at, whatever the window.
        wanted = range(self._positions.start, len(ids))
        streams, here = Streams(wanted), Streams(last, heads=True)
        seen = AttentionWeights(self._runner, last)
        spec = self._runner.spec
        carried = StateLengths(spec, last)
        walk.probe = Together(streams, here, seen, carried)
        distribution = walk.look()
        drawn = walk.draw()
        embedding, final = streams.embedding[-1], streams.after(spec.layers - 1)[-1]
        return Round(
            number=number,
            facts=facts_of(spec),
            prompt_tokens=len(ids),
            tokens=tuple(self._model.token(ids[at]) for at in self._positions),
            first=self._positions.start,
            embedded=self._embedded(streams),
            vector=tuple(embedding.tolist()),
            blocks=tuple(self._blocks(streams, seen, carried)),
            final=tuple(final.tolist()),
            final_norm=float(length(final)),
            sum_error=_sum_error(streams, self._runner),
            distribution=distribution,
            drawn=drawn,
            text=walk.taken.decode(errors="replace"),
            contributions=tuple(self._contributions(here, seen, drawn)),
        )

    def _embedded(self, streams: Streams) -> tuple[Embedded, ...]:
        """The nearest are of each token's row, and not the row itself."""
        from gptcli.engine.arrays import length
        from gptcli.engine.probes import embeddings

        ids = [self._ids[at] for at in self._positions]
        nearest, values = embeddings.nearest(self._runner, ids, self._request.rows)
        norms = length(streams.embedding[: len(ids)]).tolist()
        return tuple(
            Embedded(self._model.token(token), norm, self._scored(near, cosine))
            for token, norm, near, cosine in zip(
                ids, norms, nearest.tolist(), values.tolist(), strict=True
            )
        )

    def _blocks(
        self, streams: Streams, seen: AttentionWeights, carried: StateLengths
    ) -> Iterator[Block]:
        from gptcli.engine.arrays import length
        from gptcli.engine.probes.embeddings import cosine

        spec = self._runner.spec
        chosen = range(spec.layers) if self._request.layers is None else self._request.layers
        steps = [step for layer in chosen for step in _steps(spec, streams, layer)]
        says = self._says([step.after for step in steps])
        for step, said in zip(steps, says, strict=True):
            layer, name = step.layer, step.name
            yield Block(
                layer=layer,
                name=name,
                norm=float(length(step.update)),
                cosine=float(cosine(step.update, step.read)),
                stream_norm=float(length(step.after)),
                says=said,
                looks=self._looks(seen.of(layer)) if name == "attention" else (),
                state=tuple(carried.of(layer)[-1].tolist()) if name == "state" else (),
            )

    def _contributions(
        self, streams: Streams, seen: AttentionWeights, drawn: Candidate
    ) -> Iterator[Contribution]:
        from gptcli.engine.probes.parts import parts_of

        assert drawn.token.id is not None
        found = parts_of(self._runner, streams, drawn.token.id).parts
        attending = self._runner.spec.attending
        strongest = sorted(found, key=lambda each: -abs(each.adds))
        for place, each in enumerate(strongest):
            looks: tuple[tuple[int, Token, float], ...] = ()
            if place < 2 * self._request.rows and each.head is not None and each.layer in attending:
                looks = self._looks(seen.of(each.layer)[each.head][None])
            layer = None if each.layer < 0 else each.layer
            yield Contribution(AddedPart(each.name, layer, each.head, each.adds), looks)

    def _says(self, streams: list[Array]) -> list[Scored]:
        """All of them at once, so that the head is gone through once."""
        from gptcli.engine.arrays import namespace
        from gptcli.engine.probes.readout import read_out

        if not streams:
            return []
        together = namespace(streams[0]).stack(streams)
        found = read_out(self._runner, together, self._request.rows)
        pairs = zip(found.ids.tolist(), found.probabilities.tolist(), strict=True)
        return [self._scored(ids, values) for ids, values in pairs]

    def _looks(self, weights: Array) -> tuple[tuple[int, Token, float], ...]:
        """weights: (heads, 1, keys) of the last position."""
        from gptcli.engine.arrays import namespace, ranked

        mean = namespace(weights).mean(weights[:, -1], axis=0)
        places = ranked(mean)[: self._request.rows].tolist()
        return tuple(
            (place, self._model.token(self._ids[place]), share)
            for place, share in zip(places, mean[places].tolist(), strict=True)
        )

    def _scored(self, ids: list[int], values: list[float]) -> Scored:
        return tuple(zip(map(self._model.token, ids), values, strict=True))


class _Step(NamedTuple):
    """An update of the last position's stream: what it read, and what the stream is with it."""

    layer: int
    name: BlockName
    update: Array
    read: Array
    after: Array


def _steps(spec: ModelSpec, streams: Streams, layer: int) -> Iterator[_Step]:
    """Those of a layer, in order. Behind the last, the stream is as the layer leaves it."""
    before, between = streams.after(layer - 1)[-1], streams.before_mlp(layer)[-1]
    mixed, thought, told = streams.attention(layer), streams.mlp(layer), streams.told(layer)
    found: list[_Step] = []
    if mixed is not None:
        name: BlockName = "attention" if spec.each_layer[layer].attends else "state"
        found.append(_Step(layer, name, mixed[-1], before, between))
    if thought is not None:
        # Blocks side by side read the same stream.
        read = between if spec.blocks == "serial" else before
        found.append(_Step(layer, "mlp", thought[-1], read, streams.behind_mlp(layer)[-1]))
    if told is not None:
        behind = streams.behind_mlp(layer)[-1]
        found.append(_Step(layer, "told", told[-1], behind, behind))
    # Rounded, and scaled, as the layer has it.
    found[-1:] = [each._replace(after=streams.after(layer)[-1]) for each in found[-1:]]
    yield from found


def _sum_error(streams: Streams, runner: Runner) -> float:
    """At the last position."""
    from gptcli.engine.arrays import float32

    last = streams.after(runner.spec.layers - 1)[-1]
    return float(abs(streams.added_up(runner)[-1] - float32(last)).max())
