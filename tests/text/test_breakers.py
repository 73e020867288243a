"""Sequence breakers in tokens, against trying every one."""

from __future__ import annotations

from gptcli.text.breakers import breaks


class Letters:
    """A tokenizer of some words, and single bytes for the rest."""

    words = (b"ab", b"c", b"x:y", b":", b"xa", b"b", b"a")

    def encode(self, text: str, *, inside: bool = False) -> list[int]:
        assert inside
        return [self.words.index(letter.encode()) for letter in text]

    def bytes_of(self, token: int) -> bytes:
        return self.words[token]


def test_where_a_breaker_may_begin():
    """Catches a token that holds a breaker and does not break, one that begins it and is not
    followed up, and a rest in the wrong tokens.
    """
    found = breaks(Letters(), (":", "abc"), 7)
    assert set(found) == {
        *((2, ()), (3, ())),  # they hold the colon
        *((0, (1,)), (4, (5, 1)), (6, (5, 1))),  # ab+c, xa+bc, a+bc
    }
    assert breaks(Letters(), (), 7) == ()
