"""Texts cut into words, sentences and lines."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gptcli.text import units


def pieces(begins: list[int], text: str) -> list[str]:
    return [text[start:end] for start, end in pairwise([*begins, len(text)])]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cat's well-made\n bed.", ["The", " cat's", " well-made", "\n bed", "."]),
        ("  Hi , all!? ", ["  Hi", " ,", " all", "!? "]),
        ("我爱GPT-2。", ["我", "爱", "GPT-2", "。"]),
        ("x", ["x"]),
        (" \n ", [" \n "]),
    ],
)
def test_words(text, expected):
    """Catches a space that is of the word before, and a writing without spaces as one word."""
    assert pieces(units.words(text), text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('He said "No." Then... it rained! 3.14?', ['He said "No."', " Then...", " it rained!"]),
        ("A title\n\nOne line\nand another.\n", ["A title\n\n", "One line\nand another.\n"]),
        ("你好。世界！", ["你好。", "世界！"]),
    ],
)
def test_sentences(text, expected):
    """Catches a full stop in a number, a quote left behind, and an end that is a sentence."""
    found = pieces(units.sentences(text), text)
    assert found[: len(expected)] == expected and "".join(found) == text
    assert len(found) - len(expected) == text.endswith("3.14?")


def test_lines():
    """Catches a last newline that is a line, and empty lines that are lost."""
    assert pieces(units.lines("a\n\nb\n"), "a\n\nb\n") == ["a\n", "\n", "b\n"]
