"""Tokens as bytes, in both schemes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.formats.tokenizer_json.byte_letters import byte_of_character
from gptcli.text.token_bytes import byte_level, scheme, sentence_piece
from tests.sweeps import in_turn


def test_the_table_is_a_bijection_on_all_bytes():
    """Catches a byte that two characters stand for, or none."""
    table = byte_of_character()
    assert len(table) == 256
    assert sorted(table.values()) == list(range(256))
    assert all(len(character) == 1 and character.isprintable() for character in table)


def test_the_table_equals_transformers():
    """Catches one hidden byte too many or too few, which would shift all after it."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    assert byte_of_character() == {c: byte for byte, c in bytes_to_unicode().items()}


@given(st.binary(max_size=20))
def test_byte_level_spells_any_bytes(data):
    """Catches bytes that do not come back."""
    character = {byte: c for c, byte in byte_of_character().items()}
    assert byte_level("".join(character[byte] for byte in data)) == data


def test_byte_level_characters_outside_of_the_table():
    """Catches a KeyError for a token that somebody added by its text."""
    assert byte_level("Ġthe") == b" the"
    assert byte_level("<｜end▁｜>") == "<｜end▁｜>".encode()


@in_turn("byte", range(256))
def test_sentence_piece_bytes(byte):
    """Catches a byte taken as a character, in either way to write it."""
    assert sentence_piece(f"<0x{byte:02X}>") == bytes([byte])
    assert sentence_piece(f"<0x{byte:02x}>") == bytes([byte])


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("▁the", b" the"),
        ("▁▁▁", b"   "),
        ("a▁b", b"a b"),
        ("é", "é".encode()),
        ("<0x0>", b"<0x0>"),
        ("<0xGG>", b"<0xGG>"),
        ("x<0x0A>", b"x<0x0A>"),
        ("<0x0A>\n", b"<0x0A>\n"),
        ("", b""),
    ],
)
def test_sentence_piece_texts(token, expected):
    """Catches a space that is lost, and text that only looks like a byte."""
    assert sentence_piece(token) == expected


@pytest.mark.parametrize(
    ("decoder", "expected"),
    [
        ({"type": "ByteLevel"}, byte_level),
        ({"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "ByteLevel"}]}, byte_level),
        ({"type": "Metaspace"}, sentence_piece),
        (
            {"type": "Sequence", "decoders": [{"type": "Replace"}, {"type": "ByteFallback"}]},
            sentence_piece,
        ),
        (
            {
                "type": "Sequence",
                "decoders": [
                    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
                    {"type": "Fuse"},
                    {"type": "Strip", "content": " ", "start": 1, "stop": 0},
                ],
            },
            sentence_piece,
        ),
        ({"type": "Replace", "pattern": {"Regex": "▁"}, "content": "_"}, None),
        ({"type": "WordPiece"}, None),
        ({"type": "Sequence", "decoders": 3}, None),
        (None, None),
        ([], None),
    ],
)
def test_the_decoder_names_the_scheme(decoder, expected):
    """Catches a scheme guessed from anything else."""
    assert scheme(decoder) is expected
