"""Two prompts that differ in a word: how far their streams part, layer after layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gptcli.backends.local.looking import Looked, check_rows, looked_at
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import UsageError
from gptcli.types.what_if import Aligned, Expected, Parted, PartedRequest

if TYPE_CHECKING:
    from gptcli.engine.arrays import Array
    from gptcli.engine.probes.streams import Streams

#: Under which name the other prompt is told of.
_OTHER = "--what-if"


def answer(model: OpenModel, request: PartedRequest) -> Parted:
    """How far the two are apart, and what each expects.

    Raises UsageError where both are cut into the same tokens, and the errors of `looked_at`.
    """
    check_rows(model, request.rows)
    prompts = ((request.prompt, "prompt"), (request.other, _OTHER))
    looked = [
        looked_at(model, text, request.window, special=request.special, subject=subject)
        for text, subject in prompts
    ]
    one, other = looked
    if one.ids == other.ids:
        raise UsageError(_OTHER, "changes no token of the prompt")
    before, behind = in_common(one.ids, other.ids)
    pairs = list(_pairs(one, other, before, behind))
    ran = [_run(model, each, [pair[side] for pair in pairs]) for side, each in enumerate(looked)]
    (streams, logits), (streams_of_other, logits_of_other) = ran
    return Parted(
        prompt_tokens=len(one.ids),
        other_tokens=len(other.ids),
        before=before,
        behind=behind,
        aligned=tuple(_aligned(model, looked, pairs, streams, streams_of_other)),
        expected=tuple(_expected(model, logits, logits_of_other, request.rows)),
        notices=tuple(dict.fromkeys((*one.notices, *other.notices))),
    )


def in_common(one: Sequence[int], other: Sequence[int]) -> tuple[int, int]:
    """How many ids two texts share at their beginning, and of the rest at their end."""
    most, before, behind = min(len(one), len(other)), 0, 0
    while before < most and one[before] == other[before]:
        before += 1
    while behind < most - before and one[-1 - behind] == other[-1 - behind]:
        behind += 1
    return before, behind


def _pairs(one: Looked, other: Looked, before: int, behind: int) -> Iterator[tuple[int, int]]:
    """Positions that have the same place, of both, in the windows of both."""
    lengths = len(one.ids), len(other.ids)
    # Where one prompt has nothing in the place of the other's word, only what is behind it.
    both = min(lengths) > before + behind
    for back in range(behind + both, 0, -1):
        pair = lengths[0] - back, lengths[1] - back
        if pair[0] in one.positions and pair[1] in other.positions:
            yield pair


def _run(model: OpenModel, looked: Looked, positions: list[int]) -> tuple[Streams, Array]:
    from gptcli.engine.asking.sampling import check_finite
    from gptcli.engine.probes.streams import Streams

    runner = model.runner
    probe = Streams(range(positions[0], positions[-1] + 1) if positions else range(0))
    logits = runner.prefill([looked.ids], runner.new_state(), probe=probe)
    check_finite(logits)
    return probe, logits[0]


def _aligned(
    model: OpenModel,
    looked: Sequence[Looked],
    pairs: Sequence[tuple[int, int]],
    streams: Streams,
    streams_of_other: Streams,
) -> Iterator[Aligned]:
    from gptcli.engine.probes.embeddings import cosine

    if not pairs:
        return
    layers = range(-1, model.runner.spec.layers)
    columns = [cosine(streams.after(at), streams_of_other.after(at)).tolist() for at in layers]
    for pair, (start, *cosines) in zip(pairs, zip(*columns, strict=True), strict=True):
        token, other = (model.token(each.ids[at]) for each, at in zip(looked, pair, strict=True))
        yield Aligned(pair[0], token, pair[1], other, start, tuple(cosines))


def _expected(
    model: OpenModel, logits: Array, logits_of_other: Array, rows: int
) -> Iterator[Expected]:
    from gptcli.engine.arrays import ranked, softmax

    both = [softmax(each) for each in (logits, logits_of_other)]
    ids = {token for each in both for token in ranked(each)[:rows].tolist()}
    found = [
        Expected(model.token(token), float(both[0][token]), float(both[1][token]))
        for token in sorted(ids)
    ]
    yield from sorted(found, key=lambda each: -max(each.probability, each.other))
