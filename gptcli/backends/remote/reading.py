"""What a server sent, held to the shapes of OpenAI's language, whatever it sent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from gptcli.backends.place import Place
from gptcli.backends.remote.failures import broken
from gptcli.errors import NetworkError
from gptcli.types.completion import TokenInfo

#: More rivals than are ever asked for, and a longer text than any token's.
_MOST_RIVALS, _LONGEST_TOKEN = 2000, 4096
_BYTES, _ID = "bytes:", re.compile(r"token_id:([0-9]{1,9})")
#: How a server says that a text is over, and what that is to us; others are told as they are.
REASONS = ("stop", "length", "content_filter", "tool_calls", "function_call")


class Reader:
    """Takes values out of an answer. Raises NetworkError for one that is not as it should be."""

    def __init__(self, place: Place) -> None:
        self._place = place

    def wrong(self, what: str) -> NetworkError:
        """The error for an answer that lacks something."""
        return broken(self._place, f"sent an answer {what}")

    def mapping(self, value: Any, what: str = "that is no object") -> Mapping[str, Any]:
        """An object."""
        if not isinstance(value, dict):
            raise self.wrong(what)
        return value

    def rows(self, value: Any, name: str) -> list[Any]:
        """A list."""
        if not isinstance(value, list):
            raise self.wrong(f"without {name}")
        return value

    def text(self, value: Any, name: str) -> str:
        """A text; none where there is null."""
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(f"whose {name} is no text")
        # Half a pair of UTF-16, which JSON can spell, is no character.
        return value.encode("utf-8", "replace").decode() if not value.isascii() else value

    def count(self, value: Any) -> int | None:
        """A number of tokens, None where none is told."""
        is_one = isinstance(value, int) and not isinstance(value, bool)
        return value if is_one and 0 <= value < 1 << 50 else None

    def id(self, value: Any) -> int | None:
        """A token's id, None where none is told."""
        found = self.count(value)
        return found if found is not None and found < 1 << 31 else None

    def index(self, value: Any, samples: int) -> int:
        """Which of the samples."""
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < samples:
            raise self.wrong("of a completion that nobody asked for")
        return value

    def reason(self, value: Any) -> str | None:
        """Why a text ended, None while it goes on."""
        if value is None or value == "":
            return None
        return value if value in REASONS else "stop"

    def logprob(self, value: Any) -> float:
        """A log-probability; what servers write for minus infinity is that."""
        if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
            raise self.wrong("whose log-probabilities are no numbers")
        # vLLM and OpenAI write -9999 for what JSON has not.
        return -math.inf if value <= -9999 else min(float(value), 0.0)

    def tokens(self, choice: Mapping[str, Any], most: int) -> tuple[TokenInfo, ...]:
        """The tokens of a choice with their log-probabilities, and `most` rivals of each."""
        found = choice.get("logprobs")
        if found is None:
            return ()
        said = self.mapping(found, "whose logprobs are no object")
        ids = choice.get("token_ids")
        known = ids if isinstance(ids, list) else []
        if isinstance(said.get("content"), list):
            rows = [self.mapping(each) for each in said["content"]]
            known = known if len(known) == len(rows) else [None] * len(rows)
            return tuple(
                self._info(row, token, most) for row, token in zip(rows, known, strict=True)
            )
        return self._legacy(said, known, most)

    def _info(self, row: Mapping[str, Any], token: Any, most: int) -> TokenInfo:
        """A token in the shape that chats have; some servers add its id."""
        name, data = self.spelled(row.get("token"))
        said = row.get("bytes")
        if isinstance(said, list) and len(said) <= _LONGEST_TOKEN:
            try:
                data = bytes(said)
            except (ValueError, TypeError):
                raise self.wrong("whose tokens hold no bytes") from None
        rivals = row.get("top_logprobs")
        rivals = rivals[:_MOST_RIVALS] if isinstance(rivals, list) else []
        return TokenInfo(
            name,
            self.id(row.get("id", token)),
            self.logprob(row.get("logprob")),
            data,
            tuple(self._info(self.mapping(each), None, 0) for each in rivals[:most]),
        )

    def _legacy(self, said: Mapping[str, Any], ids: list[Any], most: int) -> tuple[TokenInfo, ...]:
        """Tokens in the shape that completions have: lists side by side."""
        names = self.rows(said.get("tokens"), "tokens")
        values = self.rows(said.get("token_logprobs"), "token_logprobs")
        rivals = said.get("top_logprobs") or [{}] * len(names)
        if not (isinstance(rivals, list) and len(names) == len(values) == len(rivals)):
            raise self.wrong("whose tokens and log-probabilities are not as many")
        # gptcli's own server tells them beside the texts.
        ids = said["token_ids"] if isinstance(said.get("token_ids"), list) else ids
        ids = ids if len(ids) == len(names) else [None] * len(names)
        found = []
        for name, value, token, others in zip(names, values, ids, rivals, strict=True):
            pairs = list(others.items())[:_MOST_RIVALS] if isinstance(others, dict) else []
            ranked = sorted(((self.logprob(v), n) for n, v in pairs), key=lambda each: -each[0])
            top = tuple(self._plain(text, logprob, None) for logprob, text in ranked[:most])
            found.append(self._plain(name, self.logprob(value), self.id(token), top))
        return tuple(found)

    def _plain(
        self, name: Any, logprob: float, token: int | None, top: tuple[TokenInfo, ...] = ()
    ) -> TokenInfo:
        named = _ID.fullmatch(name) if isinstance(name, str) else None
        text, data = self.spelled(name)
        return TokenInfo(text, int(named[1]) if named else token, logprob, data, top)

    def spelled(self, name: Any) -> tuple[str, bytes]:
        r"""A token's text and bytes; half a character may be spelled as `bytes:\xe6\x97`."""
        text = self.text(name, "token")
        if len(text) > _LONGEST_TOKEN:
            raise self.wrong("with a token that is too long")
        if text.startswith(_BYTES):
            digits = text.removeprefix(_BYTES).replace("\\x", "")
            if re.fullmatch(r"([0-9a-fA-F]{2})+", digits):
                data = bytes.fromhex(digits)
                return data.decode(errors="replace"), data
        return text, text.encode()
