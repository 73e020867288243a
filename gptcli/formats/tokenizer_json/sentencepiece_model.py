"""SentencePiece's `tokenizer.model`, a small Protocol Buffers message, read with bounds.

Fields by number: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto;
the wire format: https://protobuf.dev/programming-guides/encoding. Every length is held to the
bytes that are there, so nothing is allocated or looped over that the file does not hold.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator

from gptcli.formats.tokenizer_json.bounds import longest_replacement
from gptcli.formats.tokenizer_json.parts import UnfitError
from gptcli.formats.tokenizer_json.pieces import Piece, PieceKind
from gptcli.plain import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_UNIGRAM, _BPE = 1, 2
_MODELS = {3: "word", 4: "character"}
#: The most pieces; the largest vocabularies in use have a quarter of that.
_PIECE_LIMIT = 1 << 20
#: The most fields of a piece, which has three, and of the settings, which repeat some.
_PIECE_FIELDS, _SETTING_FIELDS = 64, 1 << 16

#: A field's number and its value: a number, or the bytes of a text, a message or a real.
_Field = tuple[int, int | bytes]


@dataclass(frozen=True)
class SentencePieceModel:
    """What matters of the message; bos, eos and unk are ids, None where there is no such piece.

    dummy_prefix: a space is put before every text. squeeze: spaces at the ends and all but one of
    several are left out. character_map: base64 of the table that letters are replaced by.
    unigram: it is no BPE.
    """

    pieces: tuple[Piece, ...]
    bos: int | None
    eos: int | None
    unk: int | None
    dummy_prefix: bool
    squeeze: bool
    character_map: str | None
    unigram: bool


def parse(data: bytes) -> SentencePieceModel:
    """The model in a file's bytes.

    Raises UnfitError for what is no such message, and by name for what would be cut otherwise:
    models of words or letters, spaces at the end of words or not escaped.
    """
    try:
        fields = list(_fields(data, _PIECE_LIMIT + _SETTING_FIELDS))
        trainer = dict(_fields(_bytes(_last(fields, 2, b"")), _SETTING_FIELDS))
        normaliser = dict(_fields(_bytes(_last(fields, 3, b"")), _SETTING_FIELDS))
        found = [value for number, value in fields if number == 1]
        if not 0 < len(found) <= _PIECE_LIMIT:
            raise UnfitError(f"it has {len(found)} pieces")
        pieces = tuple(_piece(dict(_fields(_bytes(value), _PIECE_FIELDS))) for value in found)
    except (ValueError, struct.error, IndexError) as error:
        raise UnfitError(f"it is not a SentencePiece model ({error})") from None
    kind = _number(trainer, 3, _UNIGRAM)
    if kind not in (_UNIGRAM, _BPE):
        raise UnfitError(f"SentencePiece {_MODELS.get(kind, kind)} models are not supported")
    if _number(trainer, 24, 0):
        raise UnfitError("treat_whitespace_as_suffix is not supported")
    if not _number(normaliser, 5, 1):
        raise UnfitError("escape_whitespaces off is not supported")
    table = _table(normaliser)
    ids = {name: _id(trainer, number, default) for name, number, default in _IDS}
    return SentencePieceModel(
        pieces=pieces,
        **ids,
        dummy_prefix=bool(_number(normaliser, 3, 1)),
        squeeze=bool(_number(normaliser, 4, 1)),
        character_map=base64.b64encode(table).decode() if table else None,
        unigram=kind == _UNIGRAM,
    )


def _table(normaliser: dict[int, int | bytes]) -> bytes:
    table = normaliser.get(2, b"")
    if not isinstance(table, bytes):
        raise UnfitError("it is not a SentencePiece model (field 2 is no bytes)")
    if table:
        longest_replacement(table)
    return table


_IDS = (("unk", 40, 0), ("bos", 41, 1), ("eos", 42, 2))


def _piece(fields: dict[int, int | bytes]) -> Piece:
    score = struct.unpack("<f", _bytes(fields.get(2, bytes(4))))[0]
    return Piece(
        _bytes(fields.get(1, b"")).decode(), score, PieceKind(_number(fields, 3, PieceKind.NORMAL))
    )


def _id(fields: dict[int, int | bytes], number: int, default: int) -> int | None:
    found = _number(fields, number, default)
    # -1, as 64 bits, says that there is no such piece.
    return None if found >= 1 << 31 else found


def _last(fields: list[_Field], number: int, default: bytes) -> int | bytes:
    return next((value for at, value in reversed(fields) if at == number), default)


def _number(fields: dict[int, int | bytes], number: int, default: int) -> int:
    found = fields.get(number, default)
    if not isinstance(found, int):
        raise UnfitError(f"it is not a SentencePiece model (field {number} is no number)")
    return found


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("a number where bytes were due")
    return value


def _fields(data: bytes, most: int) -> Iterator[_Field]:
    """The fields of a message, in their order; bytes of 32- and 64-bit values are left as such."""
    at = count = 0
    while at < len(data):
        count += 1
        if count > most:
            raise ValueError(f"more than {most} fields")
        key, at = _varint(data, at)
        kind, value = key & 7, b""
        if kind == _VARINT:
            number, at = _varint(data, at)
            yield key >> 3, number
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind}")
        value = data[at : at + size]
        if len(value) != size:
            raise ValueError("it ends in the middle of a field")
        at += size
        yield key >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    found = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, at
    raise ValueError("a number is too long")
