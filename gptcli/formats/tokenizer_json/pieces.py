"""SentencePiece vocabularies (pieces, each with a score) as tokenizer.json.

SentencePiece's Unigram is the library's own. Its BPE merges the two neighbours whose union has the
best score, the leftmost first. The library merges by an order of pairs instead, so every pair that
makes a piece gets the piece's place; that is the same where scores differ, as those of a trained
vocabulary do.
https://github.com/google/sentencepiece/blob/master/src/bpe_model.cc, unigram_model.cc
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from enum import IntEnum

from gptcli.formats.tokenizer_json import library, parts
from gptcli.formats.tokenizer_json.parts import Part, UnfitError
from gptcli.plain import dataclass

_SPACE = "▁"
#: The most that the squares of the lengths of all pieces come to, in letters: all cuts of all
#: pieces are tried. Gemma's, of which there are many, come to 2^24.
_CUTS = 1 << 28


class PieceKind(IntEnum):
    """What a piece is, by the numbers that GGUF files and SentencePiece models share."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    """A piece: its spelling, ▁ for a space; its score, higher is better; what it is."""

    text: str
    score: float
    kind: PieceKind


@dataclass(frozen=True)
class PieceRules:
    """What is done with a text before it is cut, as a SentencePiece model's normaliser says.

    prefix: a space is put before it ("all": before each text between added tokens, "first": only
    at a document's beginning, "none"). squeeze: spaces at its ends, and all but one of several in
    a row, are left out. character_map: base64 of SentencePiece's own table, None for none.
    unigram: the best cut is that of the most likely pieces, not that of merges.
    """

    prefix: str = "all"
    squeeze: bool = False
    character_map: str | None = None
    unigram: bool = False


def tokenizer(
    pieces: Sequence[Piece],
    rules: PieceRules,
    *,
    added: Sequence[Part] = (),
    begin: tuple[str, int] | None = None,
    merges: Sequence[tuple[str, str]] | None = None,
) -> Part:
    """tokenizer.json as a dict, checked to be one that the library can build.

    added: tokens beyond the pieces, or other settings of some of them. begin: the text and id of
    what stands before every document. merges: in their order, where these are known; scores do not
    count then. Raises UnfitError.
    """
    if not all(math.isfinite(piece.score) for piece in pieces):
        raise UnfitError("a score is not a number")
    spelling: dict[str, str] = {}
    if not rules.unigram:
        spelling = _letters_of_bytes(pieces)
        pieces = _made(pieces, spelling)
    texts = [_text(piece, spelling) for piece in pieces]
    if len(set(texts)) != len(texts):
        raise UnfitError("a piece appears twice")
    special = {token["id"]: token for token in (*_added(pieces, texts), *added)}
    found = parts.whole(
        _model(pieces, texts, merges, unigram=rules.unigram),
        special.values(),
        normalizer=parts.sequence("normalizers", _normalizers(rules)),
        pre_tokenizer=_first_space() if rules.prefix == "first" else None,
        post_processor=parts.beginning(*begin) if begin else None,
        decoder=_decoder(rules),
    )
    library.check(found)
    return found


def _model(
    pieces: Sequence[Piece],
    texts: Sequence[str],
    merges: Sequence[tuple[str, str]] | None,
    *,
    unigram: bool,
) -> Part:
    """texts: the pieces as the vocabulary spells them; merges: None where scores tell them."""
    unknown = next((at for at, p in enumerate(pieces) if p.kind is PieceKind.UNKNOWN), None)
    fallback = any(piece.kind is PieceKind.BYTE for piece in pieces)
    if not unigram:
        name = None if unknown is None else pieces[unknown].text
        vocab = {text: at for at, text in enumerate(texts)}
        merges = _merges(pieces) if merges is None else merges
        return parts.bpe(vocab, merges, unknown=name, byte_fallback=fallback)
    if unknown is None:
        raise UnfitError("it has no piece for what is unknown")
    scores = [piece.score for piece in pieces]
    return parts.unigram(zip(texts, scores, strict=True), unknown, byte_fallback=fallback)


def _letters_of_bytes(pieces: Sequence[Piece]) -> dict[str, str]:
    """Pieces of bytes that stand for a letter of which pieces are made, but that is none itself.

    Gemma's tab is such a letter: its byte is then spelt as the tab.
    """
    bytes_ = {piece.text for piece in pieces if piece.kind is PieceKind.BYTE}
    names = {f"<0x{ord(letter):02X}>": letter for letter in _no_pieces(pieces) if letter.isascii()}
    return {name: letter for name, letter in names.items() if name in bytes_}


def _no_pieces(pieces: Sequence[Piece]) -> set[str]:
    """The letters of pieces that are no pieces themselves."""
    normal = [piece.text for piece in pieces if piece.kind is PieceKind.NORMAL]
    return set("".join(normal)).difference(normal)


def _made(pieces: Sequence[Piece], spelling: dict[str, str]) -> list[Piece]:
    """The pieces, those that merges cannot make as user-defined ones.

    A trained vocabulary has all letters of its pieces. llama.cpp's converter lists user-defined
    pieces like any other, and those may be of letters that are none.
    """
    missing = _no_pieces(pieces).difference(spelling.values())
    return [
        replace(piece, kind=PieceKind.USER_DEFINED)
        if piece.kind is PieceKind.NORMAL and not missing.isdisjoint(piece.text)
        else piece
        for piece in pieces
    ]


def _text(piece: Piece, spelling: dict[str, str]) -> str:
    """A piece as the library's vocabulary spells it.

    User-defined ones are looked for before spaces become ▁.
    """
    if piece.kind is PieceKind.USER_DEFINED:
        return piece.text.replace(_SPACE, " ")
    return spelling.get(piece.text, piece.text) if piece.kind is PieceKind.BYTE else piece.text


def _added(pieces: Sequence[Piece], texts: Sequence[str]) -> list[Part]:
    special = {PieceKind.CONTROL: True, PieceKind.UNKNOWN: True, PieceKind.USER_DEFINED: False}
    return [
        parts.added(at, text, special=special[piece.kind])
        for at, (piece, text) in enumerate(zip(pieces, texts, strict=True))
        if piece.kind in special
    ]


def _merges(pieces: Sequence[Piece]) -> list[tuple[str, str]]:
    """Every pair that makes a piece, best score first; only pieces of text are merged."""
    normal = {p.text: (-p.score, at) for at, p in enumerate(pieces) if p.kind is PieceKind.NORMAL}
    if sum(len(text) ** 2 for text in normal) > _CUTS:
        raise UnfitError(f"its pieces are too long: one has {max(map(len, normal))} letters")
    known = normal.keys() | set("".join(normal))
    found = [
        (rank, text[:cut], text[cut:])
        for text, rank in normal.items()
        for cut in range(1, len(text))
        if text[:cut] in known and text[cut:] in known
    ]
    return [(left, right) for _, left, right in sorted(found)]


def _normalizers(rules: PieceRules) -> list[Part]:
    found: list[Part] = []
    if rules.character_map is not None:
        found.append({"type": "Precompiled", "precompiled_charsmap": rules.character_map})
    if rules.squeeze:
        # In this order: from each space of a long run the end would be looked for otherwise.
        found += [_replace({"Regex": " {2,}"}, " "), _replace({"Regex": r"\A +| +\z"}, "")]
    if rules.prefix == "all":
        found.append({"type": "Prepend", "prepend": _SPACE})
    return [*found, _replace({"String": " "}, _SPACE)]


def _replace(pattern: Part, content: str) -> Part:
    return {"type": "Replace", "pattern": pattern, "content": content}


def _first_space() -> Part:
    kind = {"replacement": _SPACE, "prepend_scheme": "first", "split": False}
    return {"type": "Metaspace", **kind}


def _decoder(rules: PieceRules) -> Part:
    """Always with bytes, by which readers know the scheme even where no piece is one."""
    found: list[Part] = [
        _replace({"String": _SPACE}, " "),
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if rules.prefix != "none":
        found.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {"type": "Sequence", "decoders": found}
