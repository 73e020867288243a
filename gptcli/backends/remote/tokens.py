"""How a server cuts a text: `/tokenize` and `/detokenize`, as vLLM and llama-server have them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gptcli.backends.base import refuse
from gptcli.backends.remote.reading import Reader
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.formats.tokenizer_json.byte_letters import byte_of_character
from gptcli.text.token_bytes import byte_level, sentence_piece
from gptcli.types.events import Notice
from gptcli.types.token import Token
from gptcli.types.tokens import DecodeRequest, Tokens, TokensRequest

#: How many bytes a token may have.
_LONGEST = 4096
#: How control tokens are mostly named.
_CONTROL = re.compile(r"<\|[^<>|\n]{1,64}\|>|</?s>|<(bos|eos)>|<(start|end)_of_turn>|\[/?INST\]")
_WHY = "since it does not tell its tokens"


def answer(model: RemoteModel, request: TokensRequest) -> Tokens:
    """See TokensRequest: nothing is put before the text."""
    if not model.server.cutting:
        refuse(model.answered_by, request, _WHY)
    found = cut(model, request.text, special=request.special)
    known = {token.id: token for token in found if token.id is not None}
    notices = () if request.special else control_names(model, request.text, "text")
    ids = tuple(known_ids(found))
    return Tokens(model.place.name, ids, known, request.text.encode(), notices)


def decoded(model: RemoteModel, request: DecodeRequest) -> Tokens:
    """See DecodeRequest."""
    if not model.server.cutting:
        refuse(model.answered_by, request, _WHY)
    known = {token: Token(token, bytes_of(model, token)) for token in dict.fromkeys(request.ids)}
    data = _text_of(model, request.ids).encode()
    if "\ufffd" in data.decode():
        data = b"".join(known[token].bytes for token in request.ids)
    return Tokens(model.place.name, request.ids, known, data)


def control_names(model: RemoteModel, text: str, subject: str) -> tuple[Notice, ...]:
    """What to say of a text that holds what looks like a control token, which servers obey."""
    named = _CONTROL.search(text)
    if named is None or model.server.special:
        return ()
    reason = f"{named[0]} may be a control token to {model.answered_by}, and then is obeyed"
    return (Notice(subject, reason),)


def ids_of(model: RemoteModel, text: str) -> list[int]:
    """The ids of a text alone."""
    return known_ids(cut(model, text))


def known_ids(tokens: Sequence[Token]) -> list[int]:
    """Their ids."""
    return [token.id for token in tokens if token.id is not None]


def is_control(data: bytes) -> bool:
    """Whether a token's name is one that control tokens have."""
    return _CONTROL.fullmatch(data.decode(errors="replace")) is not None


def prompt_ids(model: RemoteModel, text: str) -> list[int]:
    """The ids of a prompt, as the server would run it: with what it puts before every text."""
    read = Reader(model.place)
    if model.server.cutting == "llama-server":
        body = {"content": text, "add_special": True, "parse_special": True}
    else:
        body = {"model": model.place.model, "prompt": text}
    said = read.mapping(model.link.post("/tokenize", body, root=True))
    found = [read.id(each) for each in read.rows(said.get("tokens"), "tokens")]
    if not found or None in found:
        raise read.wrong("without the tokens of the prompt")
    return [each for each in found if each is not None]


def cut(model: RemoteModel, text: str, *, special: bool = False) -> list[Token]:
    """The tokens of exactly this text, each with its bytes."""
    read = Reader(model.place)
    if not text:
        return []
    if model.server.cutting == "llama-server":
        body = {"content": text, "add_special": False, "parse_special": special}
        said = read.mapping(model.link.post("/tokenize", body | {"with_pieces": True}, root=True))
        rows = [read.mapping(each) for each in read.rows(said.get("tokens"), "tokens")]
        found = [(row.get("id"), _piece(read, row.get("piece"))) for row in rows]
    else:
        body = {"model": model.place.model, "prompt": text, "add_special_tokens": False}
        said = read.mapping(
            model.link.post("/tokenize", body | {"return_token_strs": True}, root=True)
        )
        ids = read.rows(said.get("tokens"), "tokens")
        names = [read.text(n, "token") for n in read.rows(said.get("token_strs"), "token_strs")]
        if len(ids) != len(names):
            raise read.wrong("whose tokens and their names are not as many")
        found = list(zip(ids, _spelled(names, text.encode()), strict=True))
    tokens = []
    for token, data in found:
        if read.id(token) is None:
            raise read.wrong("whose tokens have no ids")
        tokens.append(Token(token, data))
    return tokens


def bytes_of(model: RemoteModel, token: int) -> bytes:
    """A token's bytes, as far as the server can tell them: those of half a character as U+FFFD's.

    Asked for once.
    """
    if token not in model.known:
        model.known[token] = _text_of(model, [token]).encode()
    return model.known[token]


def _text_of(model: RemoteModel, ids: Sequence[int]) -> str:
    read = Reader(model.place)
    body: dict[str, Any] = {"tokens": list(ids)}
    if model.server.cutting != "llama-server":
        body["model"] = model.place.model
    said = read.mapping(model.link.post("/detokenize", body, root=True))
    return read.text(said.get("content", said.get("prompt")), "text")


def _piece(read: Reader, piece: Any) -> bytes:
    """llama-server's: a text, or the bytes of what is none."""
    if isinstance(piece, list) and len(piece) <= _LONGEST:
        try:
            return bytes(piece)
        except (ValueError, TypeError):
            raise read.wrong("whose tokens hold no bytes") from None
    return read.text(piece, "token").encode()


def _spelled(names: Sequence[str], text: bytes) -> list[bytes]:
    """vLLM's: as the vocabulary spells them, in the scheme that gives the text."""
    table = byte_of_character()
    for scheme in (byte_level, sentence_piece):
        if scheme is byte_level and not all(c in table for name in names for c in name):
            continue
        found = [scheme(name) for name in names]
        # A space may stand there that nobody wrote.
        if b"".join(found) in (text, b" " + text):
            return found
    return [name.encode() for name in names]
