r"""Log-probabilities as /v1/completions tells them: lists with an entry a token.

`tokens` are their texts, where that is no whole character `bytes:\xe2\x80`, or all by their ids,
`token_id:5`; `token_logprobs` theirs (natural, null for a token with nothing before it, -9999 for
minus infinity, which JSON has not); `top_logprobs` the likeliest at that place with theirs, the
token's own among them; `text_offset` where in the choice's `text` each begins, in characters.
Beside what OpenAI has, `token_ids`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from gptcli.types.completion import PromptToken, TokenInfo
from gptcli.types.score import characters_of

#: What OpenAI's own server and others write for it.
_LEAST = -9999.0


class LegacyLogprobs:
    """Those of one choice, as its tokens come. by_id: tokens are named so."""

    def __init__(self, *, by_id: bool = False) -> None:
        self._named = _by_id if by_id else _name
        self._at = 0
        self._tokens: list[TokenInfo | PromptToken] = []

    def add(self, tokens: Iterable[TokenInfo | PromptToken]) -> None:
        """More of them."""
        self._tokens += tokens

    def taken(self) -> dict[str, Any]:
        """The lists for what was added since they were taken last."""
        offsets = []
        for each in self._tokens:
            offsets.append(self._at)
            self._at += characters_of(each.bytes)
        found = {
            "tokens": list(map(self._named, self._tokens)),
            "token_logprobs": [_number(each.logprob) for each in self._tokens],
            "top_logprobs": list(map(self._top, self._tokens)),
            "text_offset": offsets,
            "token_ids": [each.id for each in self._tokens],
        }
        self._tokens = []
        return found

    def _top(self, token: TokenInfo | PromptToken) -> dict[str, float | None] | None:
        if token.logprob is None:
            return None
        found: dict[str, float | None] = {}
        for each in (*token.top_logprobs, token):
            # Of two tokens of one text the likelier, which comes first.
            found.setdefault(self._named(each), _number(each.logprob))
        return found


def _by_id(token: TokenInfo | PromptToken) -> str:
    return f"token_id:{token.id}"


def _name(token: TokenInfo | PromptToken) -> str:
    try:
        return token.bytes.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in token.bytes)


def _number(logprob: float | None) -> float | None:
    return _LEAST if logprob == -math.inf else logprob
