"""A text and its tokens, each way. No weights are needed."""

from __future__ import annotations

from dataclasses import replace

from gptcli.backends.local.open_model import OpenModel
from gptcli.text.cut import cut, joined
from gptcli.types.events import Notice
from gptcli.types.tokens import DecodeRequest, Tokens, TokensRequest


def answer(model: OpenModel, request: TokensRequest) -> Tokens:
    """The tokens of exactly this text: nothing is put before or after it. It may be empty."""
    named = None if request.special else model.tokenizer.special_in(request.text)
    notices: tuple[Notice, ...] = ()
    if named:
        notices = (Notice("text", f"{named} is read as plain text; --special makes it a token"),)
    found = cut(model.tokenizer, model.name, request.text, special=request.special)
    return replace(found, notices=notices)


def decoded(model: OpenModel, request: DecodeRequest) -> Tokens:
    """The same from ids. Raises InputError for one that is none."""
    return joined(model.tokenizer, model.name, request.ids, request.subject)
