"""A model's tokens as llguidance wants them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gptcli.errors import UsageError

if TYPE_CHECKING:
    from llguidance import LLTokenizer

#: Bits of a mask that stand in one number.
_WORD = 32
#: The bytes that are looked at first where a text is to end soon: what closes, then what is short.
_CLOSING = b"\"}])>'.,:;0123456789"


def library() -> Any:
    """The library. Raises UsageError where it is not installed."""
    try:
        import llguidance
    except ImportError:
        hint = "pip install 'gptcli[constraints]'"
        raise UsageError("constraints", "need the extra gptcli[constraints]", hint) from None
    return llguidance


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
        text = [i for i, each in enumerate(pieces) if each and i not in special and i not in ends]
        #: Tokens of text, the shortest first, of them those that close something.
        self.shortest = np.array(sorted(text, key=lambda i: _order(pieces[i])), dtype=np.int64)


def _order(piece: bytes) -> tuple[int, int, bytes]:
    first = _CLOSING.find(piece[:1])
    rank = first if first >= 0 else len(_CLOSING) + (0 if piece[:1].isalnum() else 1)
    return len(piece), rank, piece


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


#: Makes a Words of the ids that end a text.
MakeWords = Callable[[Collection[int]], Words]
