"""A scored text as an answer for programs: JSON, totals as names and values."""

from __future__ import annotations

import math
from typing import Any

from gptcli.types.difference import Difference
from gptcli.types.score import Score, TokenScore, Totals
from gptcli.types.token import Token
from gptcli.ui.views import source


def score_json(score: Score, *, tokens: bool = True) -> dict[str, Any]:
    """One scored text. Infinities, which JSON has not, are null."""
    found = {"object": "score"} | source.fields(score.source) | _body(score)
    return found if tokens else {k: v for k, v in found.items() if k != "tokens"}


def difference_json(difference: Difference, *, tokens: bool = True) -> dict[str, Any]:
    """Two scored texts and their alignment, whose rows hold indices into the tokens of each."""
    found: dict[str, Any] = {"object": "score.difference"} | source.fields(difference.a.source)
    for name, score in (("a", difference.a), ("b", difference.b)):
        body = _body(score)
        found[name] = body if tokens else {k: v for k, v in body.items() if k != "tokens"}
    if tokens:
        rows, at = [], {"a": 0, "b": 0}
        for pair in difference.pairs:
            row: dict[str, Any] = {"change": pair.change}
            for name, side in (("a", pair.a), ("b", pair.b)):
                row[name] = None if side is None else at[name]
                at[name] += side is not None
            rows.append(row | {"bits_difference": _finite(pair.bits)})
        found["pairs"] = rows
    return found


def totals_of(score: Score) -> list[tuple[str, str]]:
    """Names and values of everything but the tokens; `inf` where a token was impossible."""
    body = _body(score)
    rows = [(name, _value(score.totals, name)) for name in body["totals"]]
    windows = [(name, str(value)) for name, value in body["windows"].items()]
    rows += [("context_tokens", str(score.context_tokens)), *windows]
    said = source.fields(score.source)
    return rows + [(n, v if isinstance(v, str) else ", ".join(v)) for n, v in said.items()]


_TOTALS = (
    "perplexity",
    "bits_per_token",
    "bits_per_byte",
    "bits_per_character",
    "bits",
    "logprob",
    "tokens_scored",
    "tokens_not_scored",
    "bytes",
    "characters",
)
_FIELDS = {"tokens_scored": "scored", "tokens_not_scored": "unscored"}


def _value(totals: Totals, name: str) -> str:
    value = getattr(totals, _FIELDS.get(name, name))
    return str(value) if isinstance(value, int) else f"{value:.6f}"


def _body(score: Score) -> dict[str, Any]:
    totals = score.totals
    return {
        "context_tokens": score.context_tokens,
        "windows": {
            "windows": score.windows,
            "context_size": score.context_size,
            "stride": score.stride,
        },
        "totals": {n: _finite(getattr(totals, _FIELDS.get(n, n))) for n in _TOTALS},
        "tokens": [_scored(each) for each in score.tokens],
    }


def _scored(each: TokenScore) -> dict[str, Any]:
    found = _token(each.token, each.logprob)
    found |= {"special": each.token.special, "bits": _finite(each.bits), "rank": each.rank}
    best = None if each.best is None else _token(each.best, each.best_logprob)
    return found | {"top_logprobs": [] if best is None else [best]}


def _token(token: Token, logprob: float | None) -> dict[str, Any]:
    return {
        "token": token.text,
        "id": token.id,
        "logprob": _finite(logprob),
        "bytes": list(token.bytes),
    }


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
