"""A model directory without tokenizer.json: its tokenizer from the files it has instead.

Those are SentencePiece's `tokenizer.model` or `spiece.model`, with what transformers'
LlamaTokenizer, GemmaTokenizer and T5Tokenizer add to it, or `vocab.json` with `merges.txt`, of
GPT2Tokenizer and Qwen's two, or tiktoken's ranks, in a file of that name, in `tiktoken.model`
or in `tokenizer.model`. Any other tokenizer_class of tokenizer_config.json is refused by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from gptcli.formats import files
from gptcli.formats import json as jsonfile
from gptcli.formats.tokenizer_json import (
    byte_level,
    parts,
    pieces,
    ranks,
    sentencepiece_model,
    splitting,
)
from gptcli.formats.tokenizer_json import settings as settings_files
from gptcli.formats.tokenizer_json.parts import Part, UnfitError
from gptcli.formats.tokenizer_json.pieces import Piece, PieceKind, PieceRules
from gptcli.formats.tokenizer_json.settings import CONFIG, END_OF_TEXT, TokenizerSettings

PIECES, VOCABULARY, MERGES = ("tokenizer.model", "spiece.model"), "vocab.json", "merges.txt"
_MODEL = "config.json"
_SENTENCE_PIECE_CLASSES = {"LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "T5Tokenizer"}
#: Those whose texts begin with no BOS, whatever the model knows.
_WITHOUT_BOS = {"T5Tokenizer"}
#: tokenizer_class → how it cuts a text.
_BYTE_LEVEL_CLASSES = {
    "GPT2Tokenizer": "gpt-2",
    "Qwen2Tokenizer": "qwen2",
    "Qwen3_5Tokenizer": "qwen35",
}
#: model_type → tokenizer_class, where tokenizer_config.json names none.
_CLASS_OF_MODEL = {
    **dict.fromkeys(("qwen2", "qwen2_moe", "qwen3", "qwen3_moe"), "Qwen2Tokenizer"),
    **dict.fromkeys(("qwen3_5", "qwen3_5_moe", "qwen3_5_text"), "Qwen3_5Tokenizer"),
}


def sources(names: Collection[str]) -> tuple[str, ...]:
    """Which of a directory's files a tokenizer can be made of; none where that cannot be."""
    for found in (*((name,) for name in PIECES), (VOCABULARY, MERGES)):
        if all(name in names for name in found):
            return found
    return ranks.sources(names)


def read(directory: Path, found: tuple[str, ...]) -> dict[str, bytes]:
    """All that a tokenizer is made of; `found` are the directory's `sources`. Raises ModelError."""
    held = {
        name: files.read(
            directory / name, jsonfile.TOKENIZER_LIMIT, "is larger than any tokenizer should be"
        )
        for name in found
    }
    return held | settings_files.read(directory)


def convert(
    directory: Path, held: Mapping[str, bytes], settings: TokenizerSettings, kind: str | None
) -> Part:
    """tokenizer.json as a dict; `held` is what `read` gave, `kind` what `kind_of` gave.

    settings: as `raw` has them. Raises UnfitError, or ModelError for a file that is no JSON.
    """
    named = _ranks_in(held)
    if named is not None:
        return ranks.tokenizer(held[named], str(kind), settings)
    for name in PIECES:
        if name in held:
            return _of_pieces(held[name], settings, kind)
    vocabulary = jsonfile.parse(held[VOCABULARY], str(directory / VOCABULARY))
    return _of_merges(vocabulary, held[MERGES], settings, kind)


def kind_of(directory: Path, held: Mapping[str, bytes], settings: TokenizerSettings) -> str | None:
    """The tokenizer's class: tokenizer_config.json's, or the one that goes with the model.

    Of ranks, the way that they split a text. Raises UnfitError where that is not known.
    """
    path, named = directory / _MODEL, _ranks_in(held)
    if (settings.kind is not None and named is None) or not path.is_file():
        return settings.kind if named is None else ranks.way_of(named, settings.kind, None)
    model = jsonfile.read(path)
    kind, model_type = settings.kind or model.get("tokenizer_class"), str(model.get("model_type"))
    kind = kind.removesuffix("Fast") if isinstance(kind, str) else None
    if named is not None:
        return ranks.way_of(named, kind, model_type)
    return kind or _CLASS_OF_MODEL.get(model_type)


def _ranks_in(held: Mapping[str, bytes]) -> str | None:
    """The name of the file that has tiktoken's ranks, None for none."""
    files_ = (name for name in held if name.endswith((".model", ".tiktoken")))
    return next((name for name in files_ if ranks.is_ranks(held[name])), None)


def raw(settings: TokenizerSettings) -> TokenizerSettings:
    """With tokens that are looked for in the text as it is written: spaces are not yet put in."""
    added = {at: token | {"normalized": False} for at, token in settings.added.items()}
    return replace(settings, added=added)


def _of_pieces(data: bytes, settings: TokenizerSettings, kind: str | None) -> Part:
    _check_class(kind, _SENTENCE_PIECE_CLASSES)
    model = sentencepiece_model.parse(data)
    known = list(model.pieces)
    for at, token in sorted(settings.added.items()):
        if at < len(known) and known[at].kind is not PieceKind.UNKNOWN:
            role = PieceKind.CONTROL if token["special"] else PieceKind.USER_DEFINED
            known[at] = Piece(token["content"], known[at].score, role)
    prefix = _prefix(settings, model)
    rules = PieceRules(prefix, model.squeeze, model.character_map, model.unigram)
    return pieces.tokenizer(
        known,
        rules,
        added=list(settings.added.values()),
        begin=None if kind in _WITHOUT_BOS else _begin(settings, known, model.bos),
    )


def _prefix(settings: TokenizerSettings, model: sentencepiece_model.SentencePieceModel) -> str:
    """`legacy` is on where nothing is said, as SentencePiece itself has it."""
    spaced = settings.flag("add_prefix_space")
    if not (model.dummy_prefix if spaced is None else spaced):
        return "none"
    return "first" if settings.flag("legacy") is False else "all"


def _begin(
    settings: TokenizerSettings, known: list[Piece], bos: int | None
) -> tuple[str, int] | None:
    ids = {piece.text: at for at, piece in enumerate(known)}
    named = settings.named.get("bos_token")
    at = bos if named is None else ids.get(named, bos)
    if settings.flag("add_bos_token") is False or at is None or at >= len(known):
        return None
    return known[at].text, at


def _of_merges(vocab: Part, merges: bytes, settings: TokenizerSettings, kind: str | None) -> Part:
    _check_class(kind, _BYTE_LEVEL_CLASSES)
    if not all(type(at) is int and at >= 0 for at in vocab.values()):
        raise UnfitError("it has a token without an id")
    pairs = [line.split(" ") for line in _lines(merges)]
    way = splitting.WAYS[_BYTE_LEVEL_CLASSES[kind or "GPT2Tokenizer"]]
    if settings.flag("add_prefix_space"):
        if kind not in (None, "GPT2Tokenizer"):
            raise UnfitError(f"add_prefix_space of a {kind} is not supported")
        way = splitting.Splitting(splitting.byte_level(use_regex=True, add_prefix_space=True))
    added = dict(settings.added)
    for name in settings.controls or (END_OF_TEXT,):
        if name in vocab:
            added.setdefault(vocab[name], parts.added(vocab[name], name, special=True))
    bos = settings.named.get("bos_token") or settings.usual.get("bos_token")
    at = {token["content"]: at for at, token in added.items()}.get(bos) if bos else None
    begin = (str(bos), at) if at is not None and settings.flag("add_bos_token") else None
    return byte_level.tokenizer(vocab, pairs, way, added=list(added.values()), begin=begin)


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


def _check_class(kind: str | None, known: Collection[str]) -> None:
    if kind is not None and kind not in known:
        wanted = " or ".join(sorted(known))
        raise UnfitError(f"{CONFIG} or {_MODEL} asks for a {kind}, not for a {wanted}")
