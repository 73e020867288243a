"""What was seen inside a model as JSON: every number, as exact as it was computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gptcli.types.attention import Attention
from gptcli.types.explain import Block, Round
from gptcli.types.lens import Lens, Ranked, Reading
from gptcli.types.neighbors import Neighborhood, Neighbors
from gptcli.types.shapes import Shapes
from gptcli.types.token import Token
from gptcli.ui.views import next_tokens_json, source


def token(each: Token) -> dict[str, Any]:
    """A token: text, id, exact bytes."""
    return {"token": each.text, "id": each.id, "bytes": list(each.bytes)}


def _tokens(first: int, tokens: Sequence[Token]) -> list[dict[str, Any]]:
    return [{"position": at, **token(each)} for at, each in enumerate(tokens, first)]


def _scored(pairs: Sequence[tuple[Token, float]], name: str) -> list[dict[str, Any]]:
    return [{**token(each), name: value} for each, value in pairs]


def attention(found: Attention) -> dict[str, Any]:
    """`weights[q][k]` are those of query q for key k, both within `tokens`."""
    request = found.request
    return {
        "object": "attention",
        **source.fields(found.source),
        "prompt": request.prompt,
        "prompt_tokens": found.prompt_tokens,
        "layers": found.layers,
        "heads": found.heads,
        "heads_per_key_head": found.group,
        "windows": list(found.windows),
        "sinks": found.sinks,
        "over": request.over,
        "tokens": _tokens(found.first, found.tokens),
        "maps": [
            {
                "layer": each.layer,
                "head": each.head,
                "weights": each.weights,
                "outside": each.outside,
            }
            for each in found.maps
        ],
    }


def lens(found: Lens) -> dict[str, Any]:
    """`grid[n][i]` is position i of `tokens` before layer n; the last row is the model's answer."""
    return {
        "object": "lens",
        **source.fields(found.source),
        "prompt": found.request.prompt,
        "prompt_tokens": found.prompt_tokens,
        "layers": found.layers,
        "tokens": _tokens(found.first, found.tokens),
        "answers": [token(each) for each in found.answers],
        "first_at_layer": list(found.settled),
        "tracked": None if found.tracked is None else token(found.tracked),
        "grid": [[_reading(each) for each in row] for row in found.grid],
    }


def _reading(each: Reading) -> dict[str, Any]:
    value = {"top": _scored(each.top, "probability"), "answer": _ranked(each.answer)}
    return value if each.tracked is None else value | {"tracked": _ranked(each.tracked)}


def _ranked(each: Ranked) -> dict[str, Any]:
    return {"rank": each.rank, "probability": each.probability}


def neighbors(found: Neighbors) -> dict[str, Any]:
    """Neighbours by word, and distances: the first of the embedding, then after each layer."""
    return {
        "object": "neighbors",
        **source.fields(found.source),
        "vocabulary": found.vocabulary,
        "width": found.width,
        "words": [_neighborhood(each) for each in found.found],
        "drifts": [asdict(each) for each in found.drifts],
    }


def _neighborhood(each: Neighborhood) -> dict[str, Any]:
    value = {
        "word": each.word,
        "vector_of": each.how,
        "tokens": [token(one) for one in each.tokens],
        "norm": each.norm,
        "other_spellings_left_out": each.left_out,
        "neighbors": [{**token(near.token), "cosine": near.cosine} for near in each.found],
    }
    if each.context is None:
        return value
    return value | {
        "context": each.context,
        "position": each.position,
        "layer": each.layer,
        "cosine_with_own_embedding": each.own,
        "says": _scored(each.says, "probability"),
    }


def shapes(found: Shapes) -> dict[str, Any]:
    """Parts and the tensors of the pass."""
    return {
        "object": "shapes",
        **source.fields(found.source),
        "prompt_tokens": found.prompt_tokens,
        "layers": found.layers,
        "parameters": found.parameters,
        "tied": found.tied,
        "parts": [asdict(each) for each in found.parts],
        "tensors": [asdict(each) for each in found.flow],
    }


def explanation(prompt: str, seed: int, rounds: Sequence[Round]) -> dict[str, Any]:
    """All rounds of a walk, and the text that was drawn."""
    last = rounds[-1]
    text = last.text if last.drawn.ends else last.text + last.drawn.token.text
    return {
        "object": "explanation",
        **source.fields(last.distribution.source),
        "prompt": prompt,
        "seed": seed,
        "text": text,
        "facts": asdict(last.facts),
        "rounds": [_round(each) for each in rounds],
    }


def _round(each: Round) -> dict[str, Any]:
    near = [
        {**one, "norm": embedded.norm, "nearest": _scored(embedded.near, "cosine")}
        for one, embedded in zip(_tokens(each.first, each.tokens), each.embedded, strict=True)
    ]
    return {
        "round": each.number,
        "prompt_tokens": each.prompt_tokens,
        "tokens": near,
        "embedding": each.vector,
        "blocks": [_block(block) for block in each.blocks],
        "last_vector": each.final,
        "sum_error": each.sum_error,
        "distribution": next_tokens_json.distribution(each.distribution, stages=True),
        "drawn": {
            **token(each.drawn.token),
            "rank": each.drawn.rank,
            "probability": each.drawn.probability,
            "drawn_probability": each.drawn.drawn,
            "ends": each.drawn.ends,
        },
    }


def _block(each: Block) -> dict[str, Any]:
    looks = [{"position": at, **token(one), "weight": share} for at, one, share in each.looks]
    value = {
        "layer": each.layer,
        "block": each.name,
        "norm": each.norm,
        "cosine": each.cosine,
        "stream_norm": each.stream_norm,
        "says": _scored(each.says, "probability"),
    }
    return value | {"looks_at": looks} if looks else value
