"""A text cut into words, sentences or lines: where each of them begins."""

from __future__ import annotations

import re

#: Writings without spaces between their words: each of their letters is a word here.
_LETTERS = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_OTHER = rf"(?:(?![{_LETTERS}])\w)+"
_WORD = re.compile(rf"[{_LETTERS}]|{_OTHER}(?:['’\-]{_OTHER})*|[^\w\s]+")
#: The marks of an end and what closes behind them; in writings without spaces none follows.
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）]*|\n\s*\n")
_LINE_END = re.compile(r"\n")


def words(text: str) -> list[int]:
    """The places of words, each with the space before it, and of runs of other signs."""
    ends = [match.end() for match in _WORD.finditer(text)]
    return [0, *ends[:-1]]


def sentences(text: str) -> list[int]:
    """The places of sentences, each with the space before it; a blank line ends one as well."""
    return _after(_SENTENCE_END, text)


def lines(text: str) -> list[int]:
    """The places of lines, each with the newline at its end."""
    return _after(_LINE_END, text)


def _after(end: re.Pattern[str], text: str) -> list[int]:
    found = [match.end() for match in end.finditer(text)]
    # What is only space belongs to what stands before it.
    return [0, *(place for place in found if text[place:].strip())]
