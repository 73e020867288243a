"""Texts made visible: control characters, bytes that are no character, in tokens also spaces."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

# C0 but newline and tab, DEL, C1, surrogates, line and paragraph separators, and what takes no room
# and so could reorder text or hide some in it: Unicode's Default_Ignorable_Code_Point and the
# interlinear annotations.
_UNSAFE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_EMOJI = (
    "#*0-9©®‼⁉™ℹ\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff"
    "\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)
#: Scripts whose letters join, or do not, as a joiner says that stands between them: from Arabic to
#: Sinhala, Myanmar, Khmer, Mongolian, those of Indonesia, and the forms of Arabic.
_JOINING = "\u0600-\u0603\u0608-\u061a\u061e-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17b3" + (
    "\u17b6-\u180a\u1810-\u18af\u1a00-\u1cff\ufb50-\ufdff\ufe70-\ufefe"
)
# The tags that make England, Scotland and Wales of a black flag, or the beginning of them.
_LAND = "(?:\U000e0067(?:\U000e0062(?:" + (
    "\U000e0065(?:\U000e006e(?:\U000e0067\U000e007f?)?)?"
    "|\U000e0073(?:\U000e0063(?:\U000e0074\U000e007f?)?)?"
    "|\U000e0077(?:\U000e006c(?:\U000e0073\U000e007f?)?)?)?)?)?"
)
# What people write with characters that take no room: after an emoji how it looks, its skin, a key
# around it, one joiner to the next; after a letter that joins, one joiner.
_WRITTEN = (
    f"\U0001f3f4{_LAND}\u200d?|[{_EMOJI}][\U0001f3fb-\U0001f3ff]?[\ufe0e\ufe0f]?\u20e3?\u200d?"
    f"|[{_JOINING}][\u200c\u200d]?"
)
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"
_LONGEST_WRITTEN = 9


@cache
def _found(*, isolates: bool = False) -> re.Pattern[str]:
    """What is looked at. Made when it is first needed: most of what starts writes no text of such.

    isolates: without what `isolated` puts around a text: in a line these two change nothing else.
    """
    found = f"(?P<written>{_WRITTEN})|[{_UNSAFE}]"
    if isolates:
        found = found.replace("\u2060-\u206f", "\u2060-\u2067\u206a-\u206f")
    return re.compile(found)


@cache
def _harmless() -> re.Pattern[str]:
    """Nothing is to be spelled out, or looked at more closely, in such a text."""
    return re.compile(f"[^{_UNSAFE}]*")


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


class Neutral:
    """Texts made `neutral` that come in pieces: an emoji may be cut between its parts."""

    def __init__(self, *, isolates: bool = False) -> None:
        """isolates: what `isolated` sets may pass."""
        self._isolates = isolates
        self._open = ""

    def __call__(self, text: str) -> str:
        """The next piece."""
        before, whole = len(self._open), self._open + text
        found = _found(isolates=self._isolates)
        shown = _spelled_out(found, whole)[before:]
        *_, last = None, *found.finditer(whole, max(len(whole) - _LONGEST_WRITTEN, 0))
        ends = last is not None and last["written"] and last.end() == len(whole)
        self._open = last[0] if last is not None and ends else ""
        return shown


def neutral(text: str) -> str:
    """The text with whatever a terminal would obey, or hide, spelled out, but newline and tab."""
    return _spelled_out(_found(), text)


def unseen() -> Iterator[str]:
    """The characters that `neutral` spells out and that are no controls, but the joiners and what
    chooses the look of an emoji: people write these.
    """
    blocks = ((0xA0, 0x3165), (0xFE00, 0x10000), (0x1BCA0, 0x1D17B), (0xE0000, 0xE1000))
    for first, end in blocks:
        text = "".join(map(chr, range(first, end)))
        yield from (each for each in re.findall(f"[{_UNSAFE}]", text) if each not in _JOINERS)


def one_line(text: str) -> str:
    """As `neutral`, newlines and tabs spelled out as well."""
    return neutral(text).replace("\n", "\\n").replace("\t", "\\t")


def in_json(text: str) -> str:
    """A text in JSON, whose strings say the same, with such characters spelled as JSON does it."""
    return _spelled_out(_found(), text, _json_escape)


def _spelled_out(
    found: re.Pattern[str], text: str, spell: Callable[[int], str] | None = None
) -> str:
    if _harmless().fullmatch(text):
        return text
    spell = spell or _escape
    return found.sub(lambda match: match["written"] or spell(ord(match[0])), text)


def _escape(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(code: int) -> str:
    return json.dumps(chr(code))[1:-1] if code != 0x7F else "\\u007f"


_SIGNS = {" ": "␣", "\n": "⏎", "\t": "⇥"}


def visible(data: bytes) -> str:
    r"""The bytes of a token as one line in which nothing is hidden: `␣the`, `⏎`, `\x1b`, `\xe2`.

    A byte that is part of no whole character is shown as `\xNN`; what would join the character
    before it, reorder the line or take no room is shown by its code, `\u0301`.
    """
    text = data.decode("utf-8", errors="backslashreplace")
    return "".join(map(_sign, text))


def _sign(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    if character.isascii():
        return character if character.isprintable() else f"\\x{ord(character):02x}"
    category = unicodedata.category(character)
    hidden = category[0] in "CM" or category in ("Zl", "Zp", "Zs")
    # Two of these make a flag, to which terminals give two cells, or four.
    hidden = hidden or "\U0001f1e6" <= character <= "\U0001f1ff"
    if hidden or _cells(character) == 0:
        code = ord(character)
        return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def right_to_left(text: str) -> bool:
    """Whether a terminal may draw the text from the right, and its neighbours with it."""
    return any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in text)


def isolated(text: str) -> str:
    """The text so that it cannot reorder what stands beside it (Unicode's first strong isolate)."""
    return f"\u2068{text}\u2069" if right_to_left(text) else text


def shortened(text: str, width: int) -> str:
    """The text in at most `width` cells, the end cut off and marked with … where it is longer."""
    if _cells(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        used += _cells(character)
        if used > width - 1:
            break
        kept += character
    return kept + "…" if width > 0 else ""


def ending(text: str, width: int) -> str:
    """The text in at most `width` cells, its beginning cut off and marked with … where longer."""
    if _cells(text) <= width:
        return text
    kept, used = "", 0
    for character in reversed(text):
        used += _cells(character)
        if used > width - 1:
            break
        kept = character + kept
    return "…" + kept if width > 0 else ""


def plainly(text: str) -> str:
    """A text to be recognised, as one line: as `visible`, but with its spaces as they are."""
    return "".join(character if character == " " else _sign(character) for character in text)
