"""Distributions on terminals of every width, read back through a terminal emulator."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import termios

import pyte
import pytest

from gptcli.evaluation.comparison import compare
from gptcli.types.next_tokens import AtStage, Candidate, Distribution, Spread, Step, Whole
from gptcli.types.sampling import Sampling
from gptcli.types.token import Source, Token
from gptcli.ui.terminal.writer import width_of
from gptcli.ui.views import comparison, next_tokens, prompt_lines, walk
from gptcli.ui.views.sampling import in_words

WIDTHS = [20, 23, 26, 29, 33, 40, 47, 59, 60, 80, 120, 200]
#: CJK, emoji, combining, right to left, controls, broken UTF-8, wide and long.
TOKENS = [
    b" Paris",
    "日本語の".encode(),
    "🎉👩‍👩‍👧".encode(),
    "👍🏽".encode(),
    "🇫🇷".encode(),
    "e\u0301\u0323".encode(),
    " שלום".encode(),
    "العربية".encode(),
    "\u202eevil\u200f".encode(),
    b"\x1b[2J\n\t\r",
    b"\xe6\x97",
    b"",
    "กำ".encode(),
    "क्षि".encode(),
    b" internationalisation" * 3,
]
STAGES = ("logits", "repeat-penalty", "temperature", "top-k", "top-p", "min-p")
SAMPLING = Sampling(temperature=0.8, top_k=9, top_p=0.9, min_p=0.05, repeat_penalty=1.1)


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def distribution(tokens: list[bytes] = TOKENS, prompt: str = "日本 🎉 שלום") -> Distribution:
    total = sum(range(1, len(tokens) + 1))
    candidates = []
    for i, data in enumerate(tokens):
        share = (len(tokens) - i) / total
        cut = None if i < 5 else "top-p"
        after = AtStage(-float("inf"), 0.0) if cut else AtStage(1.0, 0.2)
        at = (*[AtStage(-i, share)] * 4, after, after)
        candidates.append(
            Candidate(
                rank=i + 1,
                token=Token(49000 + i, data),
                logit=17.375 - i,
                logprob=-0.25 - i,
                probability=share,
                drawn=after.probability,
                cut_by=cut,
                stages=at,
                at_temperatures=(share,) * 5,
            )
        )
    return Distribution(
        source=Source("smollm2", "cpu", "float32"),
        prompt=prompt,
        prompt_tokens=3,
        vocabulary=49152,
        sampling=SAMPLING,
        stages=STAGES,
        candidates=tuple(candidates),
        raw=Spread(3.2, 49152),
        drawn=Spread(2.3219, 5),
        temperatures=tuple((value, Spread(1.5, 9)) for value in (0.2, 0.7, 1.0, 1.5, 20.0)),
        whole=Whole((-1.0,) * len(tokens), tuple(tokens)),
    )


def screen_of(text: str, width: int) -> list[str]:
    """The lines of a terminal of that width; fails where a line of the text took two."""
    # The emulator drops what follows an isolate, which a terminal gives no room at all.
    text = re.sub("[\u2066-\u2069]", "", text)
    wanted = text.count("\n")
    screen = pyte.Screen(width, wanted + 50)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    assert screen.cursor.y == wanted, "a row was broken"
    # Stub cells of wide characters are "", so that a cell is a place in this list.
    return ["".join(screen.buffer[y][x].data or "\0" for x in range(width)) for y in range(wanted)]


@pytest.fixture(params=["xterm-256color", "dumb"])
def terminal(request, monkeypatch):
    """A terminal of a width, of which Rich is told by COLUMNS alone."""
    monkeypatch.setenv("TERM", request.param)

    def make(width: int) -> Tty:
        monkeypatch.setenv("COLUMNS", str(width))
        return Tty()

    return make


def assert_columns_stand(rows: list[str], head: str) -> None:
    """The right edge of a right-aligned column is at the same cell in every row."""
    end = rows[0].index(head) + len(head)
    for row in rows[1:]:
        assert row[end - 1] not in " \0", row
        assert row[end : end + 1] in (" ", ""), row


@pytest.mark.parametrize("width", WIDTHS)
def test_tables_never_break_a_row(terminal, width):
    """Catches a line wider than the terminal, and columns that a wide token moves."""
    stream = terminal(width)
    found = distribution()
    next_tokens.show(stream, found, stages=True)
    lines = screen_of(stream.getvalue(), width)
    rows = lines[: len(TOKENS) + 1]
    assert_columns_stand(rows, "drawn")
    if width >= 60:
        assert_columns_stand(rows, "probability")
        assert_columns_stand(rows, "id")


@pytest.mark.parametrize("width", WIDTHS)
def test_no_stage_and_no_temperature_is_lost_on_a_narrow_terminal(terminal, width):
    """Catches columns that are dropped in silence although they were asked for."""
    stream = terminal(width)
    next_tokens.show(stream, distribution(), stages=True)
    words = " ".join(screen_of(stream.getvalue(), width))
    for head in ("repeat 1.1", "temp 0.8", "top-k 9", "top-p 0.9", "min-p 0.05"):
        assert head in words
    for head in ("T=0.2", "T=0.7", "T=1 ", "T=1.5", "T=20"):
        assert head in words


@pytest.mark.parametrize("width", WIDTHS)
def test_walks_comparisons_and_lines_never_break_a_row(terminal, width):
    """Catches the same in the other views; their columns have fixed places."""
    found = distribution()
    stream = terminal(width)
    steps = [Step(n + 1, found, each) for n, each in enumerate(found.candidates)]
    assert list(walk.on_terminal(stream, steps)) == steps
    rows = screen_of(stream.getvalue(), width)
    assert_columns_stand(rows, "drawn")

    stream = terminal(width)
    comparison.show(stream, compare([found] * 5, rows=len(TOKENS)))
    rows = screen_of(stream.getvalue(), width)[: len(TOKENS) + 1]
    assert_columns_stand(rows, " A")

    stream = terminal(width)
    others = [distribution(TOKENS[i:] + TOKENS[:i]) for i in range(len(TOKENS))]
    prompt_lines.show(stream, others)
    rows = stream.getvalue().split("\n\n")[0] + "\n"
    assert len(screen_of(rows, width)) == len(TOKENS)
    assert "float32" in stream.getvalue()


def test_a_dumb_terminal_gets_no_escapes(monkeypatch):
    """Catches colours and cursor movement where TERM says that they are not understood."""
    monkeypatch.setenv("TERM", "dumb")
    stream = Tty()
    next_tokens.show(stream, distribution(), stages=True)
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("term", ["dumb", "xterm"])
def test_the_width_is_that_of_the_terminal_itself(monkeypatch, term):
    """Catches 80 columns for every dumb terminal, which is what Rich says."""
    monkeypatch.setenv("TERM", term)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 33, 0, 0))
    with os.fdopen(theirs, "w") as stream:
        assert width_of(stream) == 33
    os.close(ours)


def test_both_probabilities_are_shown_and_named(terminal):
    """Catches a table that leaves open whether the sampler was at work."""
    stream = terminal(100)
    next_tokens.show(stream, distribution())
    text = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    first = text.splitlines()[1].split()
    assert first[:7] == ["1", "␣Paris", "49000", "17.38", "-0.250", "12.50%", "20.00%"]
    assert "cut by top-p" in text
    assert f"drawn with {in_words(SAMPLING)}" in text
    assert (
        in_words(SAMPLING) == "repeat penalty 1.1, temperature 0.8, top-k 9, top-p 0.9, min-p 0.05"
    )
    assert "smollm2, float32 on cpu" in text
    assert re.search(r"entropy +3\.20 bits +2\.32 bits", text)
    assert re.search(r"choices \(2\^entropy\) +9\.2 +5\.0", text)


def test_rows_for_programs_have_every_column_and_one_line():
    """Catches a token with a tab or a newline that makes a column or a row of its own."""
    stream = io.StringIO()
    next_tokens.show(stream, distribution(), stages=True)
    rows = [line.split("\t") for line in stream.getvalue().splitlines()]
    assert len(rows) == len(TOKENS) + 1
    assert {len(row) for row in rows} == {len(rows[0])}
    assert rows[0][:6] == ["rank", "token", "id", "logit", "logprob", "probability"]
    assert rows[0][-2:] == ["drawn", "cut_by"]
    assert rows[6][-2:] == ["0", "top-p"]


def test_json_has_no_infinity_and_exact_bytes():
    """Catches -Infinity, which JSON has not, and bytes that went through text."""
    found = next_tokens.as_json(distribution(), stages=True)
    text = json.dumps(found, allow_nan=False)
    back = json.loads(text)
    assert [bytes(each["bytes"]) for each in back["top_logprobs"]] == TOKENS
    assert back["top_logprobs"][5]["stages"][-1] == {
        "name": "min-p",
        "logit": None,
        "probability": 0.0,
    }


@pytest.mark.parametrize(
    ("sampling", "words"),
    [
        (Sampling(), "temperature 1"),
        (Sampling(temperature=0, top_k=5), "temperature 0 (greedy)"),
        (
            Sampling(presence_penalty=1, frequency_penalty=0.5, logit_bias=((1, 2.0),)),
            "presence penalty 1, frequency penalty 0.5, a bias on 1 token, temperature 1",
        ),
    ],
)
def test_the_caption_names_what_is_on(sampling, words):
    """Catches a caption that names a filter which does nothing, or hides one."""
    assert in_words(sampling) == words
