"""Values for programs: exact texts, all digits, nothing that JSON lacks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gptcli.types.token import Token


def number(value: float | None) -> str:
    """As many digits as float32 has; nothing for what is not known."""
    return "" if value is None else f"{value:.9g}"


def finite(value: float | None) -> float | None:
    """JSON has no infinities: they become null."""
    return None if value is None or not math.isfinite(value) else value


def id_text(token: Token, unknown: str = "") -> str:
    """A token's id, where it is known."""
    return unknown if token.id is None else str(token.id)


def token_json(token: Token) -> dict[str, Any]:
    """A token in OpenAI's shape, with its id: `{token, id, bytes}`."""
    return {"token": token.text, "id": token.id, "bytes": list(token.bytes)}


def tokens_json(first: int, tokens: Sequence[Token]) -> list[dict[str, Any]]:
    """Tokens with their positions, of which `first` is the first."""
    return [{"position": at, **token_json(each)} for at, each in enumerate(tokens, first)]


def valued_json(pairs: Sequence[tuple[Token, float]], name: str) -> list[dict[str, Any]]:
    """Tokens, each with a number under a name."""
    return [{**token_json(each), name: value} for each, value in pairs]


def logprob_json(token: Token, logprob: float | None) -> dict[str, Any]:
    """A token and its log-probability in OpenAI's shape: `{token, id, logprob, bytes}`."""
    # The keys in the order that OpenAI's have.
    found = token_json(token)
    return {name: found[name] for name in ("token", "id")} | {
        "logprob": finite(logprob),
        "bytes": found["bytes"],
    }


def looks_json(looks: Sequence[tuple[int, Token, float]]) -> list[dict[str, Any]]:
    """Where attention looks: positions, their tokens, and the share of each."""
    return [{"position": at, **token_json(one), "weight": share} for at, one, share in looks]
