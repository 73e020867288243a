"""How byte-level vocabularies spell bytes: each as a letter that can be printed.

GPT-2's table: https://github.com/openai/gpt-2/blob/master/src/encoder.py
"""

from __future__ import annotations

from functools import cache


@cache
def byte_of_character() -> dict[str, int]:
    """Printable Latin-1 stands for itself, the other 68 bytes for U+0100 onwards."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    hidden = (byte for byte in range(256) if byte not in set(printable))
    return table | {chr(0x100 + i): byte for i, byte in enumerate(hidden)}


@cache
def character_of_byte() -> dict[int, str]:
    """The same the other way."""
    return {byte: character for character, byte in byte_of_character().items()}


def spelled(data: bytes) -> str:
    """Bytes as a byte-level vocabulary spells them."""
    return "".join(map(character_of_byte().__getitem__, data))
