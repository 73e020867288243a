"""A text and its tokens, each way, for whoever wants to look at them."""

from __future__ import annotations

from collections.abc import Iterable

from gptcli.errors import InputError
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.token import Token
from gptcli.types.tokens import Tokens


def cut(tokenizer: Tokenizer, model: str, text: str, *, special: bool = False) -> Tokens:
    """The tokens of exactly this text: nothing is put before or after it. It may be empty."""
    ids = tuple(tokenizer.encode(text, special=special))
    return Tokens(model, ids, known(tokenizer, ids), len(text), len(text.encode()))


def joined(tokenizer: Tokenizer, model: str, ids: Iterable[int], subject: str) -> Tokens:
    """The same from ids. Raises InputError, which calls them `subject`, for one that is none."""
    found = tuple(ids)
    for token in found:
        if not tokenizer.has(token):
            raise InputError(subject, f"there is no token {token}, but {tokenizer.size} others")
    tokens = known(tokenizer, found)
    data = b"".join(tokens[token].bytes for token in found)
    return Tokens(model, found, tokens, len(data.decode(errors="replace")), len(data))


def known(tokenizer: Tokenizer, ids: Iterable[int]) -> dict[int, Token]:
    """Each token once, however often it occurs."""
    return {
        token: Token(token, tokenizer.bytes_of(token), tokenizer.is_special(token))
        for token in set(ids)
    }
