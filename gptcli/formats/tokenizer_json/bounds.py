"""How much a tokenizer.json can make of a text, told before any text is given to it.

It is a program that nobody vouches for: forty replacements of "a" by "aa" make 2^40 letters of
one. What a step can do is known from the step alone, so the product over all steps bounds what
any text can become. Steps are judged as the library has understood them, not as they are
written, since it takes older spellings too.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gptcli.formats.tokenizer_json import library
from gptcli.formats.tokenizer_json.parts import Part, UnfitError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: The most letters that one letter may become. ALBERT's steps, the most eager of those in use,
#: could make 2,000 of one, if each met its own worst case in what the one before it made.
GROWTH = 2048
#: Letters that a text may become; more would not fit into memory.
LETTERS = 1 << 28
#: The most steps; each goes over the whole text.
_STEPS = 512
#: The most tokens that are put around a text.
_AROUND = 1024
#: Letters of what marks the beginning or end of a word's parts.
_AFFIX = 256
#: Letters of a word that WordPiece cuts, in time that grows with their square; 100 is usual.
_WORD = 1000
#: Letters of a piece of a Unigram model, each of which is looked for at each letter of a text.
_PIECE = 1024
_LISTS = ("normalizers", "pretokenizers", "processors", "decoders")
#: What Unicode itself makes of one letter at most.
_UNICODE = {"NFC": 3, "NFD": 4, "NFKC": 18, "NFKD": 18, "Lowercase": 3, "BertNormalizer": 12}


def growth(built: Tokenizer) -> int:
    """The most letters that one letter of a text may become. Raises UnfitError if that is too many.

    Also for tokens around a text without end, and for work that grows with a text's square.
    """
    steps = [library.state(each) for each in (built.normalizer, built.pre_tokenizer)]
    decoder, around = library.state(built.decoder), library.state(built.post_processor)
    if sum(1 for each in (*steps, decoder, around) for _ in _each(each)) > _STEPS:
        raise UnfitError(f"it has more than {_STEPS} steps")
    found = math.prod(_factor(step) for each in steps for step in _each(each))
    for number in (found, math.prod(map(_factor, _each(decoder)))):
        if number > GROWTH:
            raise UnfitError("it can make thousands of letters of each letter")
    _check_around(around)
    _check_model(built)
    return found


def _each(part: Part | None) -> Iterator[Part]:
    """A step, or those of a sequence, however deep."""
    inner = next((part[name] for name in _LISTS if name in part), None) if part else None
    if inner is not None:
        for each in inner:
            yield from _each(each)
    elif part is not None:
        yield part


def _factor(step: Part) -> int:
    """How many letters a step may make of one."""
    kind = step.get("type")
    if kind == "Replace":
        return _replaced(step["pattern"], len(step["content"]))
    if kind == "Prepend":
        return 1 + len(step["prepend"])
    if kind == "Precompiled":
        return longest_replacement(_decoded(step["precompiled_charsmap"]))
    if kind == "ByteLevel":
        # A letter has up to four bytes; a space may come before.
        return 8 if step.get("add_prefix_space") else 4
    if kind == "Metaspace":
        return 1 if step.get("prepend_scheme") == "never" else 2
    return _UNICODE.get(str(kind), 1)


def _replaced(pattern: Part, letters: int) -> int:
    if "String" in pattern:
        size = len(pattern["String"])
        return max(1, -(-letters // size)) if size else 1 + letters
    return max(1, letters) if _takes_letters(pattern.get("Regex", "")) else 1 + letters


def _takes_letters(pattern: str) -> bool:
    """Whether every match of a regular expression surely has a letter.

    Python's rules are near enough to the library's, where they know all that is used; but
    Oniguruma takes `{2}?` for "twice or not at all".
    """
    if "}?" in pattern:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # A backward reference may be to a group of nothing.
            parsed = re.compile(f"(?:{pattern})(?P<end>)")
            return bool(pattern) and _least(parsed.pattern) > 0
        except (re.error, OverflowError, RecursionError):
            return False


def _least(pattern: str) -> int:
    from re import _parser  # type: ignore[attr-defined]

    return int(_parser.parse(pattern).getwidth()[0])


def longest_replacement(table: bytes) -> int:
    """Letters of the longest replacement in SentencePiece's table of them. Raises UnfitError.

    Four bytes say how long its index is, then come the replacements, each ended by a zero. The
    library believes the four bytes, and takes as much memory as they say.
    https://github.com/google/sentencepiece/blob/master/src/normalizer.cc
    """
    index = int.from_bytes(table[:4], "little")
    if len(table) < 4 or index % 4 or index > len(table) - 4:
        raise UnfitError("its table of letters is cut off")
    texts = table[4 + index :].split(b"\0")
    return max(1, max(len(each.decode(errors="replace")) for each in texts))


def _decoded(table: str) -> bytes:
    try:
        return base64.b64decode(table, validate=True)
    except (binascii.Error, ValueError):
        raise UnfitError("its table of letters is not base64") from None


def _check_around(part: Part | None) -> None:
    """What is put around a text: few tokens, and the text itself once."""
    tokens = 0
    for step in _each(part):
        if step.get("type") != "TemplateProcessing":
            continue
        known = step.get("special_tokens", {})
        sizes = {name: len(each.get("ids", ())) for name, each in known.items()}
        for way, wanted in (("single", ["A"]), ("pair", ["A", "B"])):
            texts = [each["Sequence"]["id"] for each in step[way] if "Sequence" in each]
            if way == "single" and texts != wanted:
                raise UnfitError(f"its post processor has the text {len(texts)} times, not once")
            names = [each["SpecialToken"]["id"] for each in step[way] if "SpecialToken" in each]
            tokens += sum(sizes.get(name, 0) for name in names)
    if tokens > _AROUND:
        raise UnfitError(f"it puts {tokens} tokens around a text")


def _check_model(built: Tokenizer) -> None:
    model = built.model
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if len(getattr(model, name, None) or "") > _AFFIX:
            raise UnfitError(f"its {name} has more than {_AFFIX} letters")
    if (getattr(model, "max_input_chars_per_word", None) or 0) > _WORD:
        raise UnfitError(f"its max_input_chars_per_word is more than {_WORD}")
    if type(model).__name__ == "Unigram":
        longest = max(map(len, built.get_vocab(with_added_tokens=False)), default=0)
        if longest > _PIECE:
            raise UnfitError(f"it has a piece of {longest} letters")
