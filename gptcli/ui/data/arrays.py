"""What was seen inside a model as arrays, for `numpy.load`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from gptcli.types.ablate import Ablation
from gptcli.types.attention import Attention
from gptcli.types.embedding import Embedding
from gptcli.types.explain import Round
from gptcli.types.lens import Lens
from gptcli.types.neighbors import Neighbors
from gptcli.types.parts import LogitParts
from gptcli.types.patch import Patching
from gptcli.types.token import Token
from gptcli.types.what_if import Parted
from gptcli.types.why import Odds, Why
from gptcli.units import total_length as total

Arrays = Mapping[str, Any]


def npz(arrays: Arrays) -> bytes:
    """A compressed .npz file: numbers in float32 and int64, texts as UTF-8 in arrays of str."""
    import numpy as np

    def array(value: Any) -> Any:
        found = np.asarray(value)
        return found.astype(np.float32) if found.dtype == np.float64 else found

    file = io.BytesIO()
    np.savez_compressed(file, **{name: array(value) for name, value in arrays.items()})
    return file.getvalue()


def embeddings(texts: Sequence[str], found: Sequence[Embedding], *, alone: bool) -> bytes:
    """Vectors (texts, numbers), float32: `alone` as a .npy file, else a .npz with the texts."""
    import numpy as np

    vectors = np.array([each.vector for each in found], dtype=np.float32)
    if not alone:
        return npz({"embeddings": vectors, "texts": list(texts)})
    file = io.BytesIO()
    np.save(file, vectors)
    return file.getvalue()


def _tokens(first: int, tokens: Sequence[Token]) -> dict[str, Any]:
    return {
        "positions": list(range(first, first + len(tokens))),
        "ids": [each.id for each in tokens],
        "tokens": [each.text for each in tokens],
    }


def attention(found: Attention) -> Arrays:
    """Weights (maps, queries, keys), outside (maps, queries); layer and head are -1 for all.

    Weighed by values, of which lengths they are shares: totals (maps, queries).

    Lengths of states (positions, memories), of each layer that carries one under its number.
    """
    return {
        **_tokens(found.first, found.tokens),
        "weights": [each.weights for each in found.maps],
        "outside": [each.outside for each in found.maps],
        **({"totals": totals} if any(totals := [each.totals for each in found.maps]) else {}),
        "layer": [-1 if each.layer is None else each.layer for each in found.maps],
        "head": [-1 if each.head is None else each.head for each in found.maps],
        **{f"state_lengths_{each.layer}": each.lengths for each in found.states},
    }


def lens(found: Lens) -> Arrays:
    """What is likeliest (layers + 1, positions, rows), and ranks (layers + 1, positions)."""
    grid = found.grid
    value = {
        **_tokens(found.first, found.tokens),
        "top_ids": [[[t.id for t, _ in each.top] for each in row] for row in grid],
        "top_probabilities": [[[p for _, p in each.top] for each in row] for row in grid],
        "answer_ids": [each.id for each in found.answers],
        "answer_ranks": [[each.answer.rank for each in row] for row in grid],
        "answer_probabilities": [[each.answer.probability for each in row] for row in grid],
        "first_at_layer": found.settled,
    }
    if found.tracked is not None:
        tracked = [[each.tracked for each in row if each.tracked] for row in grid]
        value["tracked_id"] = found.tracked.id
        value["tracked_ranks"] = [[each.rank for each in row] for row in tracked]
        value["tracked_probabilities"] = [[each.probability for each in row] for row in tracked]
    return value


def parts(found: LogitParts) -> Arrays:
    """A row for each part, in the order of the model; layer and head are -1 where it is of none."""
    return {
        "parts": [each.name for each in found.parts],
        "layer": [-1 if each.layer is None else each.layer for each in found.parts],
        "head": [-1 if each.head is None else each.head for each in found.parts],
        "adds": [each.adds for each in found.parts],
        "logit": found.logit,
        "said": found.said,
        **_tokens(0, found.tokens),
    }


def neighbors(found: Neighbors) -> Arrays:
    """Ids and cosines (words, rows), distances (drifts, layers + 1)."""
    return {
        "words": [each.word for each in found.found],
        "ids": [[near.token.id for near in each.found] for each in found.found],
        "tokens": [[near.token.text for near in each.found] for each in found.found],
        "cosines": [[near.cosine for near in each.found] for each in found.found],
        "distances": [each.distances for each in found.drifts],
    }


def why(found: Why) -> Arrays:
    """Log-probabilities before (2,) and after (parts, 2), the target's and the other's, NaN for
    what is not known; changes (parts,); where pairs were wanted, interactions (parts, parts).

    part_of: the part of each token, -1 for one that is never left out.
    """
    import numpy as np

    asked, count, unknown = found.asked, len(found.asked.parts), float("nan")
    changes = found.changes
    part_of = np.full(len(asked.tokens), -1)
    for at, each in enumerate(asked.parts):
        part_of[each.first : each.first + len(each.tokens)] = at
    after = np.full((count, 2), unknown)
    for one in found.singles:
        after[one.parts[0]] = _both(one.odds)
    value: dict[str, Any] = {
        **_tokens(0, asked.tokens),
        "part_of": part_of,
        "parts": [each.bytes.decode(errors="replace") for each in asked.parts],
        "logprobs_before": _both(asked.odds),
        "logprobs_after": after,
        "changes": [changes.get(at, unknown) for at in range(count)],
        "partial": found.partial,
    }
    if asked.request.pairs:
        value["interactions"] = square = np.full((count, count), unknown)
        for (i, j), interaction in found.interactions.items():
            square[i, j] = square[j, i] = interaction
    return value


def ablation(found: Ablation) -> Arrays:
    """Log-probabilities before (2,) and after (steps, 2), the target's and the other's, NaN for
    what is not known; changes (steps,); of steps of one part its layer and index, -1 for none.
    """
    import numpy as np

    steps, unknown = found.asked.steps, float("nan")
    after, changes = np.full((len(steps), 2), unknown), np.full(len(steps), unknown)
    for each in found.found:
        after[each.step], changes[each.step] = _both(each.odds), found.change(each)
    single = [step[0] if len(step) == 1 else None for step in steps]
    return {
        **_tokens(0, found.asked.tokens),
        "parts": [" + ".join(part.name for part in step) for step in steps],
        "layers": [-1 if part is None or part.layer is None else part.layer for part in single],
        "indices": [-1 if part is None or part.index is None else part.index for part in single],
        "logprobs_before": _both(found.asked.odds),
        "logprobs_after": after,
        "changes": changes,
        "partial": found.partial,
    }


def patching(found: Patching) -> Arrays:
    """Normalized and log-probabilities (directions, layers, pairs, heads), the target's and the
    other's in the last axis of the second; NaN for what is not known.

    layers: -1 is the embedding; pairs: positions (clean, corrupt), none where all are put at once;
    where heads are not apart there is one.
    """
    import numpy as np

    asked, unknown = found.asked, float("nan")
    layers = sorted({place.layer for place in asked.places})
    heads = 1 + max(place.head or 0 for place in asked.places)
    pairs = () if asked.request.together else asked.pairs
    shape = (len(asked.request.directions), len(layers), max(len(pairs), 1), heads)
    normalized, logprobs = np.full(shape, unknown), np.full((*shape, 2), unknown)
    for each in found.found:
        place, share = asked.places[each.place], found.share(each)
        direction = asked.request.directions.index(each.direction)
        at = direction, layers.index(place.layer), place.pair or 0, place.head or 0
        normalized[at] = unknown if share is None else share
        logprobs[at] = _both(each.odds)
    return {
        "clean_ids": [each.id for each in asked.clean],
        "corrupt_ids": [each.id for each in asked.corrupt],
        "directions": list(asked.request.directions),
        "layers": layers,
        "pairs": np.array(pairs, np.int64).reshape(-1, 2),
        "normalized": normalized,
        "logprobs": logprobs,
        "clean_logprobs": _both(asked.odds),
        "corrupt_logprobs": _both(asked.corrupt_odds),
        "partial": found.partial,
    }


def _both(odds: Odds) -> tuple[float, float]:
    return odds.target, float("nan") if odds.versus is None else odds.versus


def explanation(rounds: Sequence[Round], parted: Parted | None = None) -> Arrays:
    """One row for each round; blocks in their order, attention before MLP.

    Lengths of states (rounds, state_layers), all memories of a layer together. parted: what is told
    of the prompt with a word replaced: positions (aligned, 2), cosines (aligned, 1 + layers).
    """
    first = rounds[0]
    other = {} if parted is None else _parted(parted)
    every = [each.blocks for each in rounds]
    states = [[block.state for block in blocks if block.state] for blocks in every]
    return {
        **_tokens(first.first, first.tokens),
        "embedding_norms": [each.norm for each in first.embedded],
        "embeddings": [each.vector for each in rounds],
        "last_vectors": [each.final for each in rounds],
        "layers": [block.layer for block in first.blocks],
        "blocks": [block.name for block in first.blocks],
        "update_norms": [[block.norm for block in blocks] for blocks in every],
        "cosines": [[block.cosine for block in blocks] for blocks in every],
        "stream_norms": [[block.stream_norm for block in blocks] for blocks in every],
        "says_ids": [[[t.id for t, _ in b.says] for b in blocks] for blocks in every],
        "says_probabilities": [[[p for _, p in b.says] for b in blocks] for blocks in every],
        "drawn_ids": [each.drawn.token.id for each in rounds],
        "state_layers": [block.layer for block in first.blocks if block.state],
        "state_lengths": [[total(each) for each in lengths] for lengths in states],
        **other,
    }


def _parted(parted: Parted) -> Arrays:
    aligned, expected = parted.aligned, parted.expected
    return {
        "what_if_positions": [[each.position, each.other_position] for each in aligned],
        "what_if_cosines": [[each.start, *each.cosines] for each in aligned],
        "what_if_expected_ids": [each.token.id for each in expected],
        "what_if_probabilities": [[each.probability, each.other] for each in expected],
    }
