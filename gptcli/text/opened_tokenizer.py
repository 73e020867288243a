"""From a model directory's tokenizer to what cuts texts: kept from last time, or the library's.

What the library has opened is kept for the next time where it is large, if it cuts a sample of its
own vocabulary as the library does.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from pathlib import Path

from gptcli import atomic, config
from gptcli.formats.tokenizer_json.parts import UnfitError
from gptcli.text import library_tokenizer
from gptcli.text.cutter import Cutter
from gptcli.text.kept import form, making
from gptcli.text.kept.tokenizer import KeptTokenizer
from gptcli.text.library_tokenizer import LibraryTokenizer
from gptcli.text.made_tokenizer import TokenizerSource
from gptcli.types.events import Notice

#: Raised when what is kept changes.
_FORMAT = "1"
#: Tokens from which on the library is slow to open.
_LARGE = 1 << 15
#: Bytes that a kept token takes, its merges included, in the largest vocabularies half of that.
_TOKEN_BYTES = 128
_WAIT_SECONDS = 60
#: What is cut both ways before a form is trusted: this, and texts of so many tokens of the
#: vocabulary, cut off at so many letters, which may become so many symbols in all.
_SAMPLE = " The  quick 3.14 brown\n\n\tcafe\u0301 naïve don't 漢字 🙂 ﷺ </s> <|x|> <0x0A> \0 İ\r\n "
_TOKENS, _LETTERS, _SYMBOLS = 2000, 1 << 14, 1 << 16


def opened(source: TokenizerSource) -> tuple[Cutter, Notice | None]:
    """What cuts texts, and what to tell of its making. Raises UnfitError, or ModelError."""
    of = hashlib.sha256(f"{_FORMAT} {sys.byteorder} {source.digest}".encode()).hexdigest()
    place = config.kept_tokenizer(source.directory)

    def whole() -> LibraryTokenizer:
        return _whole(source)[0]

    def kept() -> KeptTokenizer | bool:
        """What was kept; whether it is kept that the library alone is to be asked."""
        found = form.load(place, of)
        if found is None or not found.tables:
            return found is not None
        return KeptTokenizer(found, whole)

    found = kept()
    if isinstance(found, KeptTokenizer):
        return found, None
    read, notice = _whole(source)
    if not found and read.size >= _LARGE and _room(place, read.size):
        with atomic.alone(place, _WAIT_SECONDS):
            found = kept()
            if not found and atomic.keep(place, _made(read, of) or form.written(of, {}, {})):
                found = kept()
    return found if isinstance(found, KeptTokenizer) else read, notice


def _whole(source: TokenizerSource) -> tuple[LibraryTokenizer, Notice | None]:
    found = source.read()
    return library_tokenizer.read(found.text, found.growth, source.settings), found.notice


def _room(place: Path, of: int) -> bool:
    """Whether so many tokens can be kept, as far as can be told before it is tried."""
    near = next(each for each in place.parents if each.is_dir())
    try:
        return os.access(near, os.W_OK) and shutil.disk_usage(near).free > of * _TOKEN_BYTES
    except OSError:
        return False


def _made(read: LibraryTokenizer, of: str) -> bytes | None:
    """The bytes to keep, None where the library alone knows how this tokenizer cuts."""
    try:
        found = making.made(read.steps)
        if found is None:
            return None
        own = {"size": read.size, "growth": read.growth, "prefix": read.prefix}
        facts = found[0] | own | {"disputes": list(read.disputes)}
        data = form.written(of, facts, found[1])
        kept = form.read(memoryview(data), of)
        alike = kept and _agree(KeptTokenizer(kept, lambda: read, most=_SYMBOLS), read)
        return data if alike else None
    except UnfitError:
        return None


def _agree(one: Cutter, other: Cutter) -> bool:
    """Whether two cut alike, within their own vocabulary."""
    step = max(1, other.size // _TOKENS)
    spellings = [other.spelling(token) or "" for token in range(0, other.size, step)]
    ways = [(_SAMPLE, special, inside) for special in (False, True) for inside in (False, True)]
    ways += [(glue.join(spellings)[:_LETTERS], False, False) for glue in ("", " ")]
    return all(
        one.cut(text, special=special, inside=inside)
        == other.cut(text, special=special, inside=inside)
        for text, special, inside in ways
    )
