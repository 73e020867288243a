"""A model directory without tokenizer.json: its tokenizer from the files it has instead.

Those are SentencePiece's `tokenizer.model`, with what transformers' LlamaTokenizer and
GemmaTokenizer add to it, or `vocab.json` with `merges.txt`, of GPT2Tokenizer and Qwen2Tokenizer.
Any other tokenizer_class of tokenizer_config.json is refused by name.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import files
from gptcli.formats import json as jsonfile
from gptcli.formats.tokenizer_json import byte_level, parts, pieces, sentencepiece_model, splitting
from gptcli.formats.tokenizer_json.parts import Part, UnfitError
from gptcli.formats.tokenizer_json.pieces import Piece, PieceKind, PieceRules

PIECES, VOCABULARY, MERGES = "tokenizer.model", "vocab.json", "merges.txt"
_SETTINGS, _ADDED, _NAMES = "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"
#: Files that say more about a tokenizer than its vocabulary does.
COMPANIONS = (_SETTINGS, _ADDED, _NAMES)
_SENTENCE_PIECE_CLASSES = {"LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer"}
#: tokenizer_class → how it cuts a text.
_BYTE_LEVEL_CLASSES = {"GPT2Tokenizer": "gpt-2", "Qwen2Tokenizer": "qwen2"}
_END_OF_TEXT = "<|endoftext|>"
_NAMED = tuple(f"{part}_token" for part in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
_OPTIONS = ("single_word", "lstrip", "rstrip")


def sources(names: Collection[str]) -> tuple[str, ...]:
    """Which of a directory's files a tokenizer can be made of; none where that cannot be."""
    for found in ((PIECES,), (VOCABULARY, MERGES)):
        if all(name in names for name in found):
            return found
    return ()


def convert(directory: Path, found: tuple[str, ...]) -> Part:
    """tokenizer.json as a dict; `found` are the directory's `sources`. Raises ModelError."""
    subject = directory / found[0]
    settings = _json(directory / _SETTINGS)
    try:
        if found == (PIECES,):
            return _of_pieces(directory, settings)
        return _of_merges(directory, settings)
    except UnfitError as error:
        reason = f"cannot be made into a tokenizer: {error}"
        raise ModelError(str(subject), reason) from None


def _of_pieces(directory: Path, settings: dict[str, Any]) -> Part:
    _class(settings, _SENTENCE_PIECE_CLASSES)
    model = sentencepiece_model.parse(_read(directory / PIECES))
    added = _added(directory, settings)
    known = list(model.pieces)
    for at, token in sorted(added.items()):
        if at < len(known) and known[at].kind is not PieceKind.UNKNOWN:
            kind = PieceKind.CONTROL if token["special"] else PieceKind.USER_DEFINED
            known[at] = Piece(token["content"], known[at].score, kind)
    rules = PieceRules(_prefix(settings, model), model.squeeze, model.character_map)
    return pieces.tokenizer(
        known, rules, added=list(added.values()), begin=_begin(settings, known, model.bos)
    )


def _prefix(settings: dict[str, Any], model: sentencepiece_model.SentencePieceModel) -> str:
    """`legacy` is on where nothing is said, as SentencePiece itself has it."""
    if settings.get("add_prefix_space", model.dummy_prefix) is False:
        return "none"
    return "first" if settings.get("legacy") is False else "all"


def _begin(settings: dict[str, Any], known: list[Piece], bos: int | None) -> tuple[str, int] | None:
    named = _content(settings.get("bos_token"))
    ids = {piece.text: at for at, piece in enumerate(known)}
    at = ids.get(named, bos) if named is not None else bos
    if settings.get("add_bos_token", True) is False or at is None or at >= len(known):
        return None
    return known[at].text, at


def _of_merges(directory: Path, settings: dict[str, Any]) -> Part:
    kind = _class(settings, _BYTE_LEVEL_CLASSES) or "GPT2Tokenizer"
    vocab = jsonfile.read(directory / VOCABULARY, jsonfile.TOKENIZER_LIMIT)
    if not all(type(at) is int and at >= 0 for at in vocab.values()):
        raise UnfitError("it has a token without an id")
    merges = [line.split(" ") for line in _lines(_read(directory / MERGES))]
    way = splitting.WAYS[_BYTE_LEVEL_CLASSES[kind]]
    if settings.get("add_prefix_space") is True:
        spaced = splitting.byte_level(use_regex=True, add_prefix_space=True)
        if kind != "GPT2Tokenizer":
            raise UnfitError(f"add_prefix_space of a {kind} is not supported")
        way = splitting.Splitting(spaced)
    added = _added(directory, settings)
    for name in _special(directory, settings) or {_END_OF_TEXT}:
        if name in vocab:
            added.setdefault(vocab[name], parts.added(vocab[name], name, special=True))
    return byte_level.tokenizer(vocab, merges, way, added=list(added.values()))


def _lines(data: bytes) -> list[str]:
    """The merges of merges.txt, whose first line may be a comment."""
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        raise UnfitError(f"{MERGES} is not UTF-8") from None
    if lines and lines[0].startswith("#version"):
        del lines[0]
    found = [line.rstrip("\r") for line in lines if line.strip()]
    bad = next((line for line in found if line.count(" ") != 1 or line != line.strip(" ")), None)
    if bad is not None:
        raise UnfitError(f"the merge {bad[:40]!r} is not two tokens")
    return found


def _class(settings: dict[str, Any], known: Collection[str]) -> str | None:
    found = settings.get("tokenizer_class")
    if found is None:
        return None
    name = str(found).removesuffix("Fast")
    if name not in known:
        raise UnfitError(f"{_SETTINGS} asks for a {found}, not for a {' or '.join(sorted(known))}")
    return name


def _added(directory: Path, settings: dict[str, Any]) -> dict[int, Part]:
    """Added tokens by id: those of tokenizer_config.json over those of added_tokens.json."""
    special = _special(directory, settings)
    found = {
        at: parts.added(at, text, special=text in special)
        for text, at in _json(directory / _ADDED).items()
        if type(at) is int and at >= 0
    }
    listed = settings.get("added_tokens_decoder")
    for key, entry in (listed if isinstance(listed, dict) else {}).items():
        text = _content(entry)
        if not key.isdecimal() or text is None or not isinstance(entry, dict):
            raise UnfitError(f"{_SETTINGS} has an added token that it does not describe")
        options = {name: entry.get(name) is True for name in _OPTIONS}
        token = parts.added(int(key), text, special=entry.get("special") is True, **options)
        found[int(key)] = token
    return found


def _special(directory: Path, settings: dict[str, Any]) -> set[str]:
    """The texts of the tokens that have a part: the first, the last, the unknown, …"""
    found: set[str] = set()
    for holder in (_json(directory / _NAMES), settings):
        others = holder.get("additional_special_tokens")
        values = [holder.get(name) for name in _NAMED]
        values += others if isinstance(others, list) else []
        found.update(text for text in map(_content, values) if text)
    return found


def _content(token: Any) -> str | None:
    if isinstance(token, dict):
        token = token.get("content")
    return token if _is_text(token) else None


def _is_text(token: Any) -> bool:
    # A lone surrogate, which JSON can spell, is no text.
    return isinstance(token, str) and not any("\ud800" <= letter <= "\udfff" for letter in token)


def _json(path: Path) -> dict[str, Any]:
    return jsonfile.read(path) if path.exists() else {}


def _read(path: Path) -> bytes:
    files.refuse_special(path)
    try:
        with path.open("rb") as file:
            found = file.read(jsonfile.TOKENIZER_LIMIT + 1)
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror}") from None
    if len(found) > jsonfile.TOKENIZER_LIMIT:
        raise ModelError(str(path), "is larger than any tokenizer should be")
    return found
