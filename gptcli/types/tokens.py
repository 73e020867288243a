"""How is a text cut into tokens?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gptcli.types.token import Token


@dataclass(frozen=True)
class Tokens:
    """A text's tokens: ids in order, and what each id that occurs stands for.

    characters and bytes are those of the text.
    """

    model: str
    ids: tuple[int, ...]
    known: Mapping[int, Token]
    characters: int
    bytes: int
