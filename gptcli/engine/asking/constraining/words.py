"""A model's tokens as llguidance wants them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gptcli.errors import UsageError

if TYPE_CHECKING:
    from llguidance import LLTokenizer

#: Bits of a mask that stand in one number.
_WORD = 32
#: What closes something, the most common first.
_CLOSING, _OPENING = b'"}])>', b"{[(<"


def library() -> Any:
    """The library. Raises UsageError where it is not installed."""
    try:
        import llguidance
    except ImportError:
        hint = "pip install 'gptcli[constraints]'"
        raise UsageError("constraints", "need the extra gptcli[constraints]", hint) from None
    return llguidance


#: The kind of white space.
WHITE = -2


class Words:
    """The tokens of a vocabulary, by their bytes, and those that end a text.

    pieces: the bytes of each id. special: ids that are no text, which only a grammar that names
    them lets come. Raises UsageError where the library is not there.
    """

    def __init__(
        self, pieces: Sequence[bytes], special: Collection[int], ends: Collection[int]
    ) -> None:
        self.pieces = pieces
        self.ends = np.array(sorted(ends), dtype=np.int64)
        self.tokenizer: LLTokenizer = library().LLTokenizer(_Vocabulary(pieces, {*special, *ends}))
        self.size = len(pieces)
        #: How many numbers a mask has, one bit for each token and one for an end of its own.
        self.mask_size = -(-(self.size + 1) // _WORD)
        self._no_text = {*special, *ends}

    @cached_property
    def shortest(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Tokens of text, those first that bring a text to an end."""
        text = [i for i, each in enumerate(self.pieces) if each and i not in self._no_text]
        return np.array(sorted(text, key=lambda i: _order(self.pieces[i])), dtype=np.int64)

    @cached_property
    def kinds(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Of each of `shortest` its kind."""
        return np.array([_kind(self.pieces[i]) for i in self.shortest], dtype=np.int64)


def _order(piece: bytes) -> tuple[int, int, bytes]:
    """The shortest first, of those what closes something, then other marks, letters and digits,
    and last what opens something that would have to be closed.
    """
    first = piece[:1]
    closes = _CLOSING.find(first)
    mark = first.isascii() and not first.isalnum() and not first.isspace()
    rank = closes if closes >= 0 else len(_CLOSING) + (2 if first in _OPENING else not mark)
    return len(piece), rank, piece


def _kind(piece: bytes) -> int:
    """A number that those share of which any does as well as another to bring a text to an end."""
    if len(piece) > 1:
        return -1
    if piece.isspace():
        return WHITE
    for kind, shared in enumerate((bytes.isdigit, bytes.islower, bytes.isupper)):
        if shared(piece):
            return kind - 10
    return piece[0] if piece.isascii() else -3


class _Vocabulary:
    """What LLTokenizer reads. The last token is an end of its own: a model may have none."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, pieces: Sequence[bytes], special: Collection[int]) -> None:
        self.eos_token_id = len(pieces)
        self.tokens = [*pieces, b"<|end of the text|>"]
        self.special_token_ids = sorted((*special, len(pieces)))

    def __call__(self, text: str) -> list[int]:
        """Never asked: nothing is forced, see `grammar`."""
        raise AssertionError(text)
