"""Token healing, against the obvious way to find what fits."""

from __future__ import annotations

import itertools
import random

import pytest

from gptcli.text.healing import TokenIndex, heal
from tests.sweeps import in_turn
from tests.text.tokenizers_for_tests import byte_level, saved, sentence_piece

#: A vocabulary over three bytes, one of them the largest there is; two tokens look alike.
WORDS = [b"a", b"b", b"\xff", b"ab", b"abb", b"ba", b"b\xff", b"\xff\xff", b"abab", b"ab", b""]
TOKENS = list(enumerate(WORDS))
TEXTS = [bytes(t) for n in range(1, 5) for t in itertools.product(b"ab\xff", repeat=n)]


@in_turn("text", TEXTS)
def test_lookups_equal_a_scan(text):
    """Catches a border of the sorted tokens that is off, mostly at 0xFF and at equals."""
    index = TokenIndex(TOKENS)
    assert sorted(index.spelled(text)) == [i for i, w in TOKENS if w == text]
    assert sorted(index.starting_with(text)) == [i for i, w in TOKENS if w.startswith(text)]
    assert index.extended(text) == any(w.startswith(text) and w != text for w in WORDS)


def spellings(rest: bytes, tokens: list[tuple[int, bytes]]) -> set[tuple[int, ...]]:
    """Every list of tokens that spells `rest`, the last one perhaps going beyond."""
    if not rest:
        return {()}
    found: set[tuple[int, ...]] = set()
    for token, data in tokens:
        if data.startswith(rest):
            found.add((token,))
        elif data and rest.startswith(data):
            found |= {(token, *more) for more in spellings(rest[len(data) :], tokens)}
    return found


def walks(healing, tokens: list[tuple[int, bytes]], drawn: bytes = b"") -> set[tuple[int, ...]]:
    """Every list of tokens that the constraint lets through, up to the first free one."""
    allowed = healing.allowed(len(drawn))
    if allowed is None:
        return {()}
    pieces = dict(tokens)
    return {
        (token, *more)
        for token in allowed
        for more in walks(healing, tokens, drawn + pieces[token])
    }


@pytest.mark.parametrize("gap", [False, True], ids=["every byte", "a byte that no token spells"])
@in_turn("text", TEXTS)
def test_the_constraint_lets_through_what_spells_the_text(text, gap):
    """Catches a token that contradicts the text, one that is forgotten, and a dead end."""
    tokens = [(i, w) for i, w in TOKENS if not (gap and w == b"b")]
    index = TokenIndex(tokens)
    taken = heal(index, [1, 2, 3], [None, b"", text])
    if not taken.taken:
        assert not index.extended(text)
        assert taken.ids == [1, 2, 3]
        assert taken.allowed(0) is None
        return
    assert taken.taken == text
    assert walks(taken, tokens) == spellings(text, tokens)


def test_how_much_is_taken_back():
    """Catches only the last token, too much, a token without an end, and a control token."""
    words = [b" the", b" Fr", b"an", b" France", b"ance", b".", b"x"]
    index = TokenIndex(enumerate(words))
    multi = heal(index, [0, 1, 2], [b" the", b" Fr", b"an"])
    assert (multi.ids, multi.taken) == ([0], b" Fran")
    one = heal(index, [0, 1], [b" the", b" Fr"])
    assert (one.ids, one.taken) == ([0], b" Fr")
    none = heal(index, [0, 5], [b" the", b"."])
    assert (none.ids, none.taken) == ([0, 5], b"")
    # The first token stays, and so does a control token with all before it.
    assert heal(index, [1, 2], [b" Fr", b"an"]).ids == [1]
    assert heal(index, [1], [b" Fr"]).taken == b""
    assert heal(index, [0, 1, 9, 2], [b" the", b" Fr", None, b"an"]).ids == [0, 1, 9]


@pytest.mark.parametrize("make", [byte_level, sentence_piece])
def test_real_tokenizers(make, tmp_path):
    """Catches a prompt that its own tokens could not spell anew, at words, spaces and half
    characters.
    """
    tokenizer = saved(make(), tmp_path)
    pieces = [(i, tokenizer.bytes_of(i)) for i in range(tokenizer.size)]
    index = TokenIndex((i, data) for i, data in pieces if not tokenizer.is_special(i))
    chance = random.Random(3)
    for text in ["in Fran", "the  ", "of Pa", "the é", "sat on 日", "the c", "x\n"]:
        ids = tokenizer.encode(text)
        found = heal(index, ids, [tokenizer.bytes_of(i) for i in ids])
        assert b"".join(map(tokenizer.bytes_of, found.ids)) + found.taken == b"".join(
            map(tokenizer.bytes_of, ids)
        )
        drawn = b""
        while (allowed := found.allowed(len(drawn))) is not None:
            assert set(map(tokenizer.is_special, allowed)) == {False}
            drawn += tokenizer.bytes_of(chance.choice(allowed))
        assert drawn.startswith(found.taken)
    france = tokenizer.encode(" France")
    if len(france) == 1:
        ids = tokenizer.encode("in Fran")
        found = heal(index, ids, [tokenizer.bytes_of(i) for i in ids])
        assert found.taken == b" Fran"
        assert set(france) <= set(found.allowed(0) or [])
