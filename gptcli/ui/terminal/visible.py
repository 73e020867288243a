"""Texts made visible: control characters, bytes that are no character, in tokens also spaces."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len

# C0 but newline and tab, DEL, C1, and the characters that reorder or hide text (bidi controls,
# line and paragraph separators, zero-width no-break space, tags).
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)

#: The same but what `isolated` puts around a text: within a line these two change nothing else.
_UNSAFE_BUT_ISOLATES = re.compile(_UNSAFE.pattern.replace("\u2066-\u2069", "\u2066\u2067"))


def _spelled(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def neutral(text: str) -> str:
    """The text with every control character but newline and tab spelled out."""
    return _UNSAFE.sub(_spelled, text)


def one_line(text: str) -> str:
    """As `neutral`, newlines and tabs spelled out as well."""
    return neutral(text).replace("\n", "\\n").replace("\t", "\\t")


def without_effect(text: str) -> str:
    """As `neutral`, but for the isolates that `isolated` sets: for texts that were made visible."""
    return _UNSAFE_BUT_ISOLATES.sub(_spelled, text)


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
    if hidden or cell_len(character) == 0:
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
    if cell_len(text) <= width:
        return text
    kept, used = "", 0
    for character in text:
        used += cell_len(character)
        if used > width - 1:
            break
        kept += character
    return kept + "…" if width > 0 else ""


def ending(text: str, width: int) -> str:
    """The text in at most `width` cells, its beginning cut off and marked with … where longer."""
    if cell_len(text) <= width:
        return text
    kept, used = "", 0
    for character in reversed(text):
        used += cell_len(character)
        if used > width - 1:
            break
        kept = character + kept
    return "…" + kept if width > 0 else ""


def plainly(text: str) -> str:
    """A text to be recognised, as one line: as `visible`, but with its spaces as they are."""
    return "".join(character if character == " " else _sign(character) for character in text)
