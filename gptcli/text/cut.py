"""A text and its tokens, each way, for whoever wants to look at them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gptcli.errors import InputError
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.token import Token
from gptcli.types.tokens import Tokens


def cut(tokenizer: Tokenizer, model: str, text: str, *, special: bool = False) -> Tokens:
    """The tokens of exactly this text: nothing is put before or after it. It may be empty."""
    ids = tuple(tokenizer.encode(text, special=special))
    return Tokens(model, ids, known(tokenizer, ids), text.encode())


def joined(tokenizer: Tokenizer, model: str, ids: Iterable[int], subject: str) -> Tokens:
    """The same from ids. Raises InputError, which calls them `subject`, for one that is none."""
    found = tuple(ids)
    for token in found:
        if not tokenizer.has(token):
            raise InputError(subject, f"there is no token {token}, but {tokenizer.size} others")
    tokens = known(tokenizer, found)
    return Tokens(model, found, tokens, tokenizer.decode(found))


def own_bytes(
    tokenizer: Tokenizer, text: str, ids: Sequence[int], begin: int, *, special: bool = False
) -> bytes:
    """The bytes of a text that its tokens from `begin` on stand for; `ids` are all of them.

    Those of the tokens are others where a tokenizer puts a space before a text, or makes one
    letter of several.
    """
    before, after = map(tokenizer.joined, (ids[:begin], ids[begin:]))
    own = text.encode()
    if (before + after).endswith(own):
        # What stands before the text was put there.
        return after[max(0, len(after) - len(own)) :]
    cut = tokenizer.cut(text, special=special)
    return text[cut[begin][1] :].encode() if begin < len(cut) else b""


def known(tokenizer: Tokenizer, ids: Iterable[int]) -> dict[int, Token]:
    """Each token once, however often it occurs."""
    return {
        token: Token(token, tokenizer.bytes_of(token), tokenizer.is_special(token))
        for token in set(ids)
    }
