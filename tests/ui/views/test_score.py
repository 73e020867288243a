"""Scored texts and cut texts on terminals of all widths."""

from __future__ import annotations

import io
import json
import math
import re

import pyte
import pytest

from gptcli.evaluation.difference import difference
from gptcli.types.score import Score, TokenScore
from gptcli.types.token import Source, Token
from gptcli.types.tokens import Tokens
from gptcli.ui.views import difference as difference_view
from gptcli.ui.views import score as view
from gptcli.ui.views import tokens as tokens_view
from gptcli.ui.views.surprisal import characters
from tests.ui.screens import assert_unbroken, seen, written

WIDTHS = [20, 30, 60, 80, 200]
TERMS = ["xterm-256color", "xterm", "dumb"]
#: Wide, joined, combining, right-to-left and control characters, halves of characters, long words.
PIECES = [
    b"The",
    " 日本語".encode(),
    "🙂".encode(),
    "👩‍👩‍👧".encode(),
    " e\u0301".encode(),
    "\u0301".encode(),
    " عربي".encode(),
    " עברית".encode(),
    b"\x1b[31m",
    b"\r",
    b"\n\n",
    b"\t",
    "\u202e".encode(),
    "語".encode()[:1],
    "語".encode()[1:],
    b" Antidisestablishmentarianism" * 2,
    b"<|end|>",
]


def scored_as(*tokens: tuple[bytes, float | None]) -> Score:
    """Tokens with their bits."""
    best = Token(7, " 最も".encode())
    found = [
        TokenScore(Token(i, data))
        if bits is None
        else TokenScore(Token(i, data), -bits * math.log(2), i + 1, best, -0.5)
        for i, (data, bits) in enumerate(tokens)
    ]
    return Score(
        source=Source("tiny", "cpu", "float32"),
        tokens=tuple(found),
        context_tokens=0,
        windows=1,
        context_size=64,
        stride=32,
    )


EVERYTHING = scored_as((b"first", None), *((data, 3.0 * i) for i, data in enumerate(PIECES)))
CUT = Tokens(
    "tiny", tuple(range(len(PIECES))), dict(enumerate(map(Token, range(99), PIECES))), b"a" * 9
)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize(
    "show",
    [
        lambda stream: view.show(stream, EVERYTHING, table=True),
        lambda stream: difference_view.show(
            stream, difference(EVERYTHING, scored_as(*((d, 40.0) for d in PIECES[::2])))
        ),
        lambda stream: tokens_view.show(stream, CUT),
    ],
    ids=["table", "difference", "tokens"],
)
def test_no_row_ever_breaks(show, term, width):
    """Catches a row, a legend or a total wider than the terminal, whatever is in the tokens."""
    text = written(show, width, term)
    assert_unbroken(text, width)
    assert "\x1b" not in text or term != "dumb"
    assert not re.search(r"\x1b(?!\[[0-9;]*m)", text)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("term", TERMS[:2])
def test_coloured_text_keeps_its_order_and_wraps_before_the_margin(term, width):
    """Catches lost, doubled or reordered text, and a colour that runs on to the margin."""
    text = "Ein Satz mit 日本語 und عربي darin.\nZweite Zeile: Wörter\n\nvierte"
    tokens = [(part.encode(), float(i)) for i, part in enumerate(re.split(r"(?= )", text))]
    found = written(lambda stream: view.show(stream, scored_as(*tokens)), width, term)
    assert_unbroken(found, width)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", found).split("bits")[0]
    assert shown.split() == text.replace("\n", "⏎\n").split()
    assert "\x1b[" in found
    # A newline under a colour would paint the rest of the line below.
    for line in found.split("\n"):
        styles = re.findall(r"\x1b\[([0-9;]*)m", line)
        assert not styles or styles[-1] == "0"


def test_colours_follow_the_bits():
    """Catches two steps that look alike, a sure token that is coloured, and one step for all."""
    levels = [0.5, 3.0, 6.0, 9.0, 20.0]
    for term in TERMS[:2]:
        tokens = [(f"w{i} ".encode(), bits) for i, bits in enumerate(levels)]
        text = written(lambda stream, t=tokens: view.show(stream, scored_as(*t)), 80, term)
        screen = pyte.Screen(80, 20)
        pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
        backgrounds = [screen.buffer[0][3 * i].bg for i in range(len(levels))]
        assert backgrounds[0] == "default"
        assert len(set(backgrounds)) == len(levels)


def test_a_character_of_several_tokens_is_shown_once_with_all_their_bits():
    """Catches U+FFFD where tokens are halves of a character, and bits that are lost."""
    sun = "日".encode()
    score = scored_as((b" " + sun[:1], 1.0), (sun[1:2], 2.0), (sun[2:] + b"a", 3.0), (b"b", 4.0))
    assert list(characters(score.tokens)) == [
        (" 日a".encode(), pytest.approx(6.0)),
        (b"b", pytest.approx(4.0)),
    ]
    broken = scored_as((b"\xff", 1.0), (sun[:2], None))
    assert list(characters(broken.tokens)) == [(b"\xff", pytest.approx(1.0)), (sun[:2], None)]


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colours_there_is_a_table(env):
    """Catches a text without its colours, which would say nothing."""
    term = env.get("TERM", "xterm-256color")
    text = written(lambda s: view.show(s, EVERYTHING), 80, term, **env)
    assert seen(text, 80)[0].split()[:4] == ["#", "token", "id", "bits"]


def test_an_impossible_token_is_null_in_json_and_infinite_in_totals():
    """Catches JSON that is none, and a crash where a probability is 0."""
    score = scored_as((b"a", None), (b"b", math.inf))
    found = view.as_json(score)
    json.dumps(found, allow_nan=False)
    assert found["tokens"][1]["logprob"] is None
    assert found["totals"]["perplexity"] is None
    assert dict(view.totals_of(score))["perplexity"] == "inf"
    assert "perplexity inf" in written(lambda s: view.show(s, score), 80)


def test_totals_are_those_of_the_definition():
    """Catches bits divided by the wrong count: tokens not scored, bytes for characters."""
    totals = scored_as((b"xx", None), ("é".encode(), 3.0), (b"ab", 5.0)).totals
    assert (totals.scored, totals.unscored, totals.bytes, totals.characters) == (2, 1, 4, 3)
    assert totals.bits == pytest.approx(8)
    assert totals.perplexity == pytest.approx(2**4)
    assert totals.bits_per_token == pytest.approx(4)
    assert totals.bits_per_byte == pytest.approx(2)
    assert totals.bits_per_character == pytest.approx(8 / 3)


def test_a_difference_holds_every_token_once_and_in_order():
    """Catches a token that the alignment drops, and common tokens taken for junk."""
    common = [(b" the", 1.0)] * 300
    a = scored_as((b"He", None), (b" go", 2.0), *common)
    b = scored_as((b"She", None), (b" has", 2.0), (b" gone", 5.0))
    found = difference(a, b)
    assert tuple(p.a for p in found.pairs if p.a) == a.tokens
    assert tuple(p.b for p in found.pairs if p.b) == b.tokens
    same = difference(a, a)
    assert {pair.change for pair in same.pairs} == {"same"}
    assert same.pairs[0].bits is None
    assert same.pairs[1].bits == 0


def test_tokens_left_out_are_told():
    """Catches a table cut off in silence, and --all that shows no more."""
    many = Tokens("tiny", (0,) * 60, {0: Token(0, b"a")}, b"a" * 60)
    assert "… 10 more; --all shows them" in written(lambda s: tokens_view.show(s, many), 80)
    text = written(lambda s: tokens_view.show(s, many, everything=True), 80)
    assert "more" not in text
    assert any(line.startswith("59 ") for line in seen(text, 80))


@pytest.mark.parametrize("term", TERMS[:2])
def test_neighbouring_tokens_differ_and_control_tokens_differ_from_both(term):
    """Catches tokens that flow into one another, also where there are but eight colours."""
    known = {0: Token(0, b"ab"), 1: Token(1, b"<e>", special=True)}
    text = written(lambda s: tokens_view.show(s, Tokens("t", (0, 0, 1), known, b"a" * 7)), 80, term)
    screen = pyte.Screen(80, 20)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    assert len({screen.buffer[0][column].bg for column in (0, 2, 4)}) == 3
    assert "control token" in text


def test_piped_rows_have_as_many_fields_as_the_heads():
    """Catches a tab or a newline of a token that makes a field or a row of its own."""
    for show in (
        lambda s: view.show(s, EVERYTHING),
        lambda s: difference_view.show(s, difference(EVERYTHING, EVERYTHING)),
    ):
        stream = io.StringIO()
        show(stream)
        lines = stream.getvalue().splitlines()
        assert len(lines) == len(EVERYTHING.tokens) + 1
        assert len({line.count("\t") for line in lines}) == 1
