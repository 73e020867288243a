"""What was said is hidden, and what a template wrote is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gptcli.text.disguise import Brief, hidden

NAMES = ("<|im_start|>", "<|im_end|>", "<s>", "</s>", "[INST]", "ᚠ\ue000")
PIECES = st.text(st.sampled_from("<|>/[]_imstarendINST s＜\n\u00a0ᚠ\ue000\U000f0000"))


@given(st.lists(PIECES))
def test_only_the_templates_own_can_be_a_name(pieces):
    """Catches a letter of a name that is let through, and a stand-in that is one itself."""
    text = "".join(pieces)
    found = hidden(text, [len(piece) for piece in pieces], NAMES)
    assert len(found) == len(text)
    at = 0
    for place, piece in enumerate(pieces):
        seen = found[at : at + len(piece)]
        at += len(piece)
        if place % 2 == 0:
            assert seen == piece
            continue
        for before, after in zip(piece, seen, strict=True):
            # Borders of words, and white space, are what they were.
            assert before.isspace() == after.isspace()
            assert (before.isalnum() or before == "_") == (after.isalnum() or after == "_")
            assert after.isspace() or not any(after in name for name in NAMES)


@given(st.lists(PIECES))
def test_what_is_looked_through_is_found_in_the_whole(pieces):
    """Catches a place that is off by what was left out, and white space that a token would take."""
    runs, text = [len(piece) for piece in pieces], "".join(pieces)
    written = hidden(text, runs, NAMES)
    brief = Brief(written, runs)
    places = [brief.place(at) for at in range(len(brief.text))]
    assert places == sorted(set(places))
    assert [written[place] for place in places] == [*brief.text]
    at = 0
    for number, piece in enumerate(pieces):
        inside = {place - at for place in places if at <= place < at + len(piece)}
        at += len(piece)
        if number % 2 == 0:
            assert inside == set(range(len(piece)))
            continue
        head = len(piece) - len(piece.lstrip())
        assert {*range(head), *range(len(piece.rstrip()), len(piece))} <= inside


def test_the_middle_of_what_was_said_is_left_out():
    """Catches a document that is cut into tokens twice, of which one time would do."""
    written = hidden("<s> so long a text\n</s>", (3, 16, 4), NAMES)
    brief = Brief(written, (3, 16, 4))
    assert (len(brief.text), brief.place(5)) == (3 + 2 + 2 + 4, 17)
