"""Traced texts are texts in everything, and know what came from where after each operation.

In these texts the template's own letters are other ones than those that were said, so that it can
be seen in each result which are which.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gptcli.text.traced import Traced, again, joined, own, own_of, shown

OWN, SAID = "abcAB<| \n", "xyzXYß>ﬃ\t"
PIECES = st.lists(
    st.one_of(st.text(OWN, max_size=4).map(own), st.text(SAID, max_size=4).map(Traced)), max_size=6
)
TEXTS = PIECES.map(joined)
ANY = st.text(OWN + SAID, max_size=3)


def known(text: str) -> bool:
    """Whether each character is known for what it is."""
    assert isinstance(text, Traced) and len(own_of(text)) == len(text)
    return all((c in OWN) == bool(o) for c, o in zip(str.__str__(text), own_of(text), strict=True))


def same(found, expected) -> bool:
    """As a text has it, each part known."""
    parts = [found] if isinstance(found, str) else list(found)
    return found == expected and all(map(known, parts))


@given(TEXTS, ANY, st.integers(-9, 9), st.integers(-9, 9), st.integers(-1, 3))
def test_it_is_cut_as_a_text_is(text, part, start, end, count):
    """Catches a part that is another, and a letter that changes sides: it could be an order."""
    plain = str.__str__(text)
    assert same(text[start:end], plain[start:end]) and same(text[::-1], plain[::-1])
    assert [*text] == [*plain] and all(map(known, text))
    if plain:
        place = start % len(plain)
        assert same(text[place], plain[place]) and same(text[-1], plain[-1])
    for name in ("strip", "lstrip", "rstrip"):
        assert same(getattr(text, name)(), getattr(plain, name)())
        assert same(getattr(text, name)(part), getattr(plain, name)(part))
    for name in ("split", "rsplit"):
        assert same(getattr(text, name)(None, count), getattr(plain, name)(None, count))
        if part:
            assert same(getattr(text, name)(part, count), getattr(plain, name)(part, count))
    if part:
        assert same(text.partition(part), plain.partition(part))
        assert same(text.rpartition(part), plain.rpartition(part))
    for keep in (True, False):
        assert same(text.splitlines(keep), plain.splitlines(keep))
    assert same(text.removeprefix(part), plain.removeprefix(part))
    assert same(text.removesuffix(part), plain.removesuffix(part))


@given(TEXTS, TEXTS, st.text(SAID, max_size=3), st.lists(TEXTS, max_size=4), st.integers(-1, 3))
def test_it_is_put_together_as_a_text_is(text, other, plainly, parts, count):
    """Catches a text that loses what it knows by the common ways to join texts."""
    assert same(text + other, str(text) + str(other))
    assert same(text + plainly, str.__str__(text) + plainly)
    assert same(plainly + text, plainly + str.__str__(text))
    assert same(text * 3, str.__str__(text) * 3) and same(2 * text, 2 * str.__str__(text))
    plain = [str.__str__(each) for each in parts]
    assert same(text.join(parts), str.__str__(text).join(plain))
    assert same(joined([text, *parts]), str.__str__(text) + "".join(plain))
    assert f"{text}" == str.__str__(text) and hash(text) == hash(str.__str__(text))


@given(TEXTS, ANY, TEXTS, st.integers(-1, 3))
def test_what_takes_the_place_of_what_was_said_is_said(text, old, new, count):
    """Catches a message that gives the order to write a control token in its place."""
    found = text.replace(old, new, count)
    assert found == str.__str__(text).replace(old, str.__str__(new), count)
    assert len(own_of(found)) == len(found)
    if old and all(c in SAID for c in old):
        assert sum(own_of(found)) == sum(own_of(text))
    if all(c in OWN for c in old + str.__str__(new)):
        assert all(
            o or c in SAID for c, o in zip(str.__str__(found), own_of(found), strict=True)
        ) or (not old)


@given(TEXTS)
def test_letters_that_change_stay_whose_they_are(text):
    """Catches a case that makes two letters of one, and moves the border."""
    for name in ("upper", "lower", "title", "capitalize", "casefold", "swapcase"):
        found, plain = getattr(text, name)(), getattr(str.__str__(text), name)()
        assert found == plain and len(own_of(found)) == len(plain)
        if len(plain) != len(text) and len(set(own_of(text))) > 1:
            assert not any(own_of(found))
            continue
        for letter, mine in zip(plain, own_of(found), strict=True):
            assert bool(mine) == (letter.lower() in OWN.lower())


@given(TEXTS, TEXTS)
def test_forms_are_filled_in(form, value):
    """Catches an order that is lost in a form, and a value that gives one through it."""
    # White space is no name, and may be anyone's.
    form, value = (joined(each.split()) for each in (form, value))
    assert same(own("<%s|") % value, f"<{str.__str__(value)}|")
    assert same(own("%s|%s") % (value, form), f"{value}|{form}")
    shape = own("<{}|{a}")
    found = again(lambda text, one, two: text.format(one, a=two), shape, form, value)
    assert same(found, f"<{form}|{value}")


def test_numbers_are_the_templates():
    """Catches `'<|turn_' ~ loop.index ~ '|>'`, which is a control token in every character."""
    assert own_of(joined([own("<"), 5, None, True, own(">")])) == b"\x01" * len("<5NoneTrue>")
    assert own_of(shown("5")) == b"\x00"
    assert own_of(own("%s-%d") % (5, 6)) == b"\x01" * 3
