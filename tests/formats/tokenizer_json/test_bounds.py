"""What a tokenizer can make of a letter, told from its steps; and the library behind its door."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any

import pytest

from gptcli.formats.tokenizer_json import bounds, library
from gptcli.formats.tokenizer_json.parts import UnfitError

LEAST = {"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}


def replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def growth(**parts: Any) -> int:
    return bounds.growth(library.build(json.dumps(LEAST | parts).encode()))


def steps(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": list(parts)}


SPACE = replace({"String": " "}, "▁")
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
ORDINARY = {
    "Llama 2": (2, {"normalizer": steps({"type": "Prepend", "prepend": "▁"}, SPACE)}),
    "Gemma": (1, {"normalizer": SPACE}),
    "GPT-2": (4, {"pre_tokenizer": BYTES}),
    "GPT-NeoX": (12, {"normalizer": {"type": "NFC"}, "pre_tokenizer": BYTES}),
    "XLM-R's spaces": (1, {"normalizer": replace({"Regex": " {2,}"}, "▁")}),
    "ours": (2, {"normalizer": replace({"Regex": r"\A +| +\z"}, "▁")}),
    "shorter": (1, {"normalizer": replace({"String": "``"}, '"')}),
    "longer": (4, {"normalizer": replace({"String": "abc"}, "x" * 10)}),
    "nothing found": (3, {"normalizer": replace({"Regex": "x*"}, "ab")}),
    "perhaps nothing": (3, {"normalizer": replace({"Regex": "x{2}?"}, "ab")}),
    "nothing, looked at": (3, {"normalizer": replace({"Regex": "(?=x)"}, "ab")}),
    "letters": (2, {"normalizer": replace({"Regex": r"x+\d"}, "ab")}),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_growth(name: str) -> None:
    """A bound below what can be, by which the next steps would multiply."""
    wanted, parts = ORDINARY[name]
    assert growth(**parts) == wanted


@pytest.mark.parametrize("name", ORDINARY)
def test_no_text_grows_more(name: str) -> None:
    """The same asked of the library, with letters of which it makes most."""
    most, parts = ORDINARY[name]
    built = library.build(json.dumps(LEAST | parts).encode())
    for text in ("a", " ", "x", "xx", "x1", "abc", "é", "漢", "🙂", " " * 9, "x" * 9, "``"):
        made = text if built.normalizer is None else built.normalizer.normalize_str(text)
        if built.pre_tokenizer is not None:
            made = "".join(part for part, _ in built.pre_tokenizer.pre_tokenize_str(made))
        # A pattern of nothing is found at the end as well.
        assert len(made) <= most * (len(text) + 1)


BOMBS: dict[str, tuple[dict[str, Any], str]] = {
    "doubling": ({"normalizer": steps(*[replace({"String": "a"}, "aa")] * 12)}, "thousands"),
    "an older spelling": (
        {"normalizer": steps(*[{"pattern": {"Regex": "a"}, "content": "aa"}] * 12)},
        "thousands|known|variant",
    ),
    "bytes of bytes": (
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [BYTES] * 6}},
        "thousands",
    ),
    "a long beginning": ({"normalizer": {"type": "Prepend", "prepend": "a" * 5000}}, "thousands"),
    "decoding": (
        {"decoder": {"type": "Sequence", "decoders": [replace({"String": "a"}, "aa")] * 12}},
        "thousands",
    ),
    "many steps": ({"normalizer": steps(*[{"type": "StripAccents"}] * 600)}, "more than 512 steps"),
    "long words": (
        {
            "model": {
                "type": "WordPiece",
                "unk_token": "a",
                "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 10**6,
                "vocab": {"a": 0},
            }
        },
        "max_input_chars_per_word",
    ),
    "a long piece": (
        {"model": {"type": "Unigram", "unk_id": 0, "vocab": [["a" * 2000, 0.0]]}},
        "a piece of 2000 letters",
    ),
    "a long end": (
        {"model": LEAST["model"] | {"end_of_word_suffix": "a" * 300}},
        "end_of_word_suffix",
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(name: str) -> None:
    """Memory or time without end, found out when a text is there."""
    parts, reason = BOMBS[name]
    with pytest.raises(UnfitError, match=reason):
        growth(**parts)


@pytest.mark.parametrize(
    "table", [b"", b"\1", b"\xff\xff\xff\x7fabc", b"\2\0\0\0ab", b"\x08\0\0\0ab"]
)
def test_tables_of_letters(table: bytes) -> None:
    """Eight gigabytes for a table of four bytes."""
    with pytest.raises(UnfitError, match="cut off"):
        bounds.longest_replacement(table)
    assert bounds.longest_replacement(b"\4\0\0\0....abc\0de\0") == 3


def test_standard_error_comes_back(capfd: pytest.CaptureFixture[str]) -> None:
    """Two threads that close it, of which the second keeps what the first has put there."""
    begun, end = threading.Event(), threading.Event()

    def long() -> None:
        with library.guarded():
            begun.set()
            end.wait(5)

    first = threading.Thread(target=long)
    first.start()
    begun.wait(5)
    with library.guarded():
        os.write(2, b"hidden")
        end.set()
        time.sleep(0.05)
    first.join()
    os.write(2, b"shown")
    assert capfd.readouterr().err == "shown"


def test_a_panic_is_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    """What is no Exception, and prints itself."""
    parts = {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}}
    with pytest.raises(UnfitError, match="the tokenizers library fails"):
        library.build(json.dumps(LEAST | parts).encode())
    assert capfd.readouterr().err == ""
