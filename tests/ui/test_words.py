"""The words of explain: every language says the same, in lines that fit."""

from __future__ import annotations

import re
import string
import tomllib
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gptcli.ui.terminal.wrap import wrapped
from gptcli.ui.words import LANGUAGES, Words

STAGES = ["tokens", "embedding", "attention", "mlp", "layers", "unembedding"]
STAGES += ["softmax", "draw", "parts", "again", "what-if", "shapes"]


def texts(language: str) -> dict[str, str]:
    source = resources.files("gptcli.ui.words").joinpath(f"{language}.toml")
    found = tomllib.loads(source.read_text(encoding="utf-8"))
    flat = {}
    for group, entries in found.items():
        for key, value in entries.items():
            parts = value if isinstance(value, list) else [value]
            for place, part in enumerate(parts):
                flat[f"{group}.{key}.{place}"] = part
    return flat


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_all_languages_have_the_same_words_with_the_same_numbers():
    """Catches a sentence or a number that only one language has."""
    english = texts("en")
    for language in LANGUAGES:
        other = texts(language)
        assert other.keys() == english.keys()
        for key, text in other.items():
            assert fields(text) == fields(english[key]), key
            assert text.strip()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_a_title_and_three_lines(language, stage):
    """Catches a stage without its words."""
    words = Words(language)
    assert words.title(stage)
    every = {name: "7" for text in texts(language).values() for name in fields(text)}
    assert len(words.lines(stage, **every)) == 3


def test_chinese_is_chinese():
    """Catches English left in the Chinese words, but for names of things."""
    for key, text in texts("zh").items():
        plain = re.sub(r"\{\w+\}|“[^”]*”", "", text)
        plain = plain.replace("（token）", "").replace("（id）", "")
        words = set(re.findall(r"[A-Za-z][A-Za-z-]+", plain))
        assert words <= {"MLP", "Softmax", "KV", "logit", "layers", "all"} | {"--layers"}, key


@given(st.text(max_size=80), st.integers(4, 30))
def test_wrapping_loses_nothing_and_fits(text, width):
    """Catches a character that is lost, and a line that is too wide."""
    text = re.sub(r"[^\S ]|[\x00-\x1f\x7f-\x9f]", " ", text)
    lines = wrapped(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line) <= width for line in lines)


def test_chinese_punctuation_begins_no_line():
    """Catches a comma alone at the beginning of a line."""
    for text in texts("zh").values():
        for width in range(20, 60, 3):
            for line in wrapped(text, width)[1:]:
                assert line[0] not in "，。、：；？！）”」"
