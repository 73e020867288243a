"""The exact bytes that a token stands for.

A token may be half a character, so text is made from bytes, not from tokens. Two schemes cover
nearly all models: byte-level BPE, whose vocabulary spells each byte as a printable character
(GPT-2's encoder.py), and SentencePiece with byte fallback, which spells a space as ▁ and a lone
byte as <0xAB>.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gptcli.formats.tokenizer_json.byte_letters import byte_of_character

_BYTE_TOKEN = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def byte_level(token: str) -> bytes:
    """The bytes of a byte-level token; characters outside the table stand for themselves."""
    table = byte_of_character()
    if all(character in table for character in token):
        return bytes(table[character] for character in token)
    return token.encode()


def sentence_piece(token: str) -> bytes:
    """The bytes of a SentencePiece token."""
    match = _BYTE_TOKEN.fullmatch(token)
    if match:
        return bytes([int(match[1], 16)])
    return token.replace("▁", " ").encode()


def scheme(decoder: Any) -> Callable[[str], bytes] | None:
    """The scheme that the `decoder` of a tokenizer.json describes, None for any other."""
    kinds = _kinds(decoder)
    if "ByteLevel" in kinds:
        return byte_level
    if kinds & {"ByteFallback", "Metaspace"} or _spaces(decoder):
        return sentence_piece
    return None


def _spaces(decoder: Any) -> bool:
    """Whether a ▁ becomes a space by a step of its own, as models without bytes have it."""
    if not isinstance(decoder, dict):
        return False
    if decoder.get("type") == "Replace":
        return decoder.get("pattern") == {"String": "▁"} and decoder.get("content") == " "
    parts = decoder.get("decoders")
    return isinstance(parts, list) and any(map(_spaces, parts))


def _kinds(decoder: Any) -> set[str]:
    if not isinstance(decoder, dict):
        return set()
    parts = decoder.get("decoders")
    found = {str(decoder.get("type"))}
    return found.union(*(_kinds(part) for part in parts)) if isinstance(parts, list) else found
