"""What was said is hidden, and what a template wrote is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gptcli.text.disguise import hidden

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
