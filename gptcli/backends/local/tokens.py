"""A text and its tokens, each way. No weights are needed."""

from __future__ import annotations

from dataclasses import replace

from gptcli.backends.local.open_model import OpenModel
from gptcli.text.cut import cut, joined, known
from gptcli.types.events import Notice
from gptcli.types.tokens import DecodeRequest, Tokens, TokensRequest


def answer(model: OpenModel, request: TokensRequest) -> Tokens:
    """The tokens of exactly this text, which may be empty; see TokensRequest for its beginning."""
    named = None if request.special else model.tokenizer.special_in(request.text)
    notices: tuple[Notice, ...] = ()
    if named:
        notices = (Notice("text", f"{named} is read as plain text; --special makes it a token"),)
    tokenizer = model.tokenizer
    found = cut(tokenizer, model.name, request.text, special=request.special)
    prefix = tuple(tokenizer.prefix) if request.begun else ()
    if prefix and found.ids[: len(prefix)] != prefix:
        ids = (*prefix, *found.ids)
        found = replace(found, ids=ids, known=known(tokenizer, ids))
    return replace(found, notices=notices)


def decoded(model: OpenModel, request: DecodeRequest) -> Tokens:
    """The same from ids. Raises InputError for one that is none."""
    return joined(model.tokenizer, model.name, request.ids, request.subject)
