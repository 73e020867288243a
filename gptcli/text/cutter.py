"""What cuts texts into ids: the library's tokenizer, whole, or a form that opens faster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: (id, start, end) of a token, in characters of the text.
Cut = tuple[int, int, int]


class Cutter(Protocol):
    """A tokenizer as its files describe it. Whatever the library refuses is an UnfitError.

    steps: a tokenizer of the library's with all of this one's steps and added tokens.
    growth: letters that one letter of a text may become. disputes: what its files contradict each
    other in.
    """

    steps: Tokenizer
    growth: int
    disputes: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many tokens there are, added ones included."""
        ...

    @property
    def prefix(self) -> list[int]:
        """What is put before every text."""
        ...

    def cut(self, text: str, *, special: bool, inside: bool) -> list[Cut]:
        """A text's tokens, and nothing around them.

        special: texts of control tokens become those. inside: the text begins nothing.
        """
        ...

    def pieces(self, word: str) -> list[int]:
        """The ids that the model alone makes of a word that is spelt as its vocabulary is."""
        ...

    def id_of(self, spelling: str) -> int | None:
        """The token of exactly that spelling."""
        ...

    def spelling(self, token: int) -> str | None:
        """A token's spelling in the vocabulary, None where there is no such token."""
        ...

    def decoded(self, token: int) -> str:
        """A token as the decoder alone gives it."""
        ...


@contextmanager
def within(steps: Tokenizer, *, inside: bool) -> Iterator[None]:
    """Metaspace with prepend_scheme "first" marks a beginning wherever `encode` begins.

    Not where `inside` says that nothing begins.
    """
    cutter: Any = steps.pre_tokenizer if inside else None
    # A sequence of pre-tokenizers can be indexed, and so be gone through.
    cutters = list(cutter) if hasattr(cutter, "__getitem__") else [cutter]
    first = [each for each in cutters if getattr(each, "prepend_scheme", None) == "first"]
    for each in first:
        each.prepend_scheme = "never"
    try:
        yield
    finally:
        for each in first:
            each.prepend_scheme = "first"
