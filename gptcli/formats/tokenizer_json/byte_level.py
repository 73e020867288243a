"""Byte-level BPE: a vocabulary and its merges as tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gptcli.formats.tokenizer_json import library, parts
from gptcli.formats.tokenizer_json.parts import Part
from gptcli.formats.tokenizer_json.splitting import Splitting, byte_level


def tokenizer(
    vocab: Mapping[str, int],
    merges: Sequence[Sequence[str]],
    way: Splitting,
    *,
    added: Sequence[Part],
    begin: tuple[str, int] | None = None,
    whole_words: bool = False,
) -> Part:
    """tokenizer.json as a dict, checked to be one that the library can build.

    begin: the text and id of what stands before every document. whole_words: also where the way
    does not say so. Raises parts.UnfitError.
    """
    found = parts.whole(
        parts.bpe(vocab, merges, whole_words=way.whole_words or whole_words),
        added,
        normalizer=way.normalizer,
        pre_tokenizer=way.pre_tokenizer,
        post_processor=parts.beginning(*begin) if begin else None,
        decoder=byte_level(use_regex=True),
    )
    library.check(found)
    return found
