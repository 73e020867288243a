"""`complete --color-by` and `--html`, on a tiny model of random weights."""

from __future__ import annotations

import html
import io
import json
import math
import os
import re

import pyte
import pytest

from gptcli.cli.boundary import main
from gptcli.cli.environment import Environment
from gptcli.ui.terminal.visible import neutral
from gptcli.units import percent
from tests.cli.helpers import _Terminal, run
from tests.ui.screens import assert_unbroken

PROMPT = "the cat 日 sat"
FLAGS = ("-n", "12", "--seed", "3", "--temp", "1.5")


@pytest.fixture
def complete(tiny_model):
    """`complete` on the tiny model."""
    return lambda *argv, **more: run("complete", "-m", str(tiny_model), *argv, **more)


def shown(tiny_model, *argv, width=40, **env) -> str:
    """What a terminal with colours gets."""
    variables = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(width)} | env
    for name in {"NO_COLOR", "FORCE_COLOR"} - set(env):
        variables.pop(name, None)
    out = io.BytesIO()
    stdout = _Terminal(out, encoding="utf-8")
    streams = (io.TextIOWrapper(io.BytesIO()), stdout, io.StringIO())
    argv = ("complete", "-m", str(tiny_model), *argv)
    assert main(argv, Environment(*streams, variables)) == 0
    stdout.flush()
    return out.getvalue().decode()


def bare(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.parametrize("measure", ["probability", "entropy", "rank"])
def test_a_terminal_gets_the_text_in_colours_and_a_legend(complete, tiny_model, measure):
    """Catches text that is lost, doubled or broken at the margin, and colours of another number."""
    text = complete(*FLAGS, PROMPT).text
    found = shown(tiny_model, *FLAGS, "--echo", "--color-by", measure, PROMPT)
    assert_unbroken(found, 40)
    body, _, legend = bare(found).rpartition(f"{measure} ")
    wanted = neutral(PROMPT + text).replace("\n", "⏎\n")
    assert "".join(body.split()) == "".join(wanted.split())
    assert "100+" in legend or "0.1%" in legend or "6+" in legend
    screen = pyte.Screen(40, 60)
    pyte.Stream(screen).feed(found.replace("\n", "\r\n"))
    assert len({cell.bg for line in screen.buffer.values() for cell in line.values()}) > 1


def test_samples_stand_under_headings_each_coloured(tiny_model):
    """Catches a sample that is drawn into the text of another."""
    found = bare(shown(tiny_model, *FLAGS, "--samples", "2", "--color-by", "rank", "a cat"))
    assert found.index("1 of 2") < found.index("2 of 2") < found.index("rank ")


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colours_there_is_the_text_alone(tiny_model, env):
    """Catches a legend of colours that nobody sees, and a colour where none is wanted."""
    found = shown(tiny_model, *FLAGS, "--color-by", "rank", PROMPT, **env)
    assert "\x1b" not in found and "100+" not in found


def test_a_pipe_gets_the_exact_text(complete):
    """Catches a colour, a mark or a legend in what a program reads, also with FORCE_COLOR."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORCE_COLOR", "1")
        coloured = complete(*FLAGS, "--color-by", "entropy", PROMPT)
    assert coloured.out == complete(*FLAGS, PROMPT).out
    assert coloured.err == ""


def test_what_cannot_go_together_is_refused_by_name(complete, tmp_path):
    """Catches a flag that is dropped, and a page that cannot be written told after all work."""
    rows = tmp_path / "rows.txt"
    rows.write_text("a\n")
    for argv, code, named in (
        (("--json", "--color-by", "rank", "a"), 2, "--color-by"),
        (("--json", "--html", "-", "a"), 2, "--html"),
        (("--batch", str(rows), "--color-by", "rank"), 2, "--color-by"),
        (("--batch", str(rows), "--html", str(tmp_path / "a.html")), 2, "--html"),
        (("--color-by", "size", "a"), 2, "--color-by"),
        (("--html", str(tmp_path / "no" / "a.html"), "a"), 6, "a.html"),
    ):
        done = complete(*argv)
        assert (done.code, done.err.count("\n")) == (code, 1), argv
        assert named in done.err and done.out == b""


def test_a_page_holds_prompt_and_samples_and_every_tokens_numbers(complete, tmp_path):
    """Catches a page that shows another text, a probability of another token, a rank from 0."""
    path = tmp_path / "page.html"
    flags = (*FLAGS, "--samples", "2", PROMPT)
    done = complete("--html", str(path), "--logprobs", "2", *flags)
    whole = json.loads(complete("--json", "--logprobs", "2", *flags).text)
    assert done.out == complete(*flags).out and f"wrote {path}" in done.err
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
    page = path.read_text(encoding="utf-8")
    texts = re.findall(r'<div class="text".*?</div>', page, re.DOTALL)
    plain = [html.unescape(re.sub(r"<[^>]+>", "", each)).replace("⏎", "") for each in texts]
    assert plain == [neutral(each) for each in (PROMPT, *(c["text"] for c in whole["choices"]))]
    for text, choice in zip(texts[1:], whole["choices"], strict=True):
        tips = [html.unescape(tip) for tip in re.findall(r'data-tip="([^"]*)"', text)]
        told = "\n".join(tips)
        for token in choice["logprobs"]["content"]:
            top = token["top_logprobs"]
            if token["logprob"] == top[0]["logprob"]:
                assert "rank 1, " in told
            share = percent(math.exp(token["logprob"]))
            assert f"\n{share}, rank " in told
        assert told.count("rank ") == len(choice["logprobs"]["content"])


def test_a_page_to_stdout_is_the_page_alone(complete, tmp_path):
    """Catches a text before the page, and a page that differs from the file's."""
    path = tmp_path / "page.html"
    complete(*FLAGS, "--html", str(path), PROMPT)
    done = complete(*FLAGS, "--html", "-", PROMPT)
    assert done.out == path.read_bytes() and done.err == ""
    assert complete(*FLAGS, "--html", "-", "-o", str(path), PROMPT).out == b""
    assert path.read_bytes() == done.out


def test_healing_stops_and_bans_keep_the_text(complete, tiny_model):
    """Catches a piece that what was taken back, held back or cut off leaves behind."""
    for flags in (
        ("--heal", "the cat s"),
        ("--stop", "e", "the cat"),
        ("--ban", " the", "the cat"),
        ("--special", "the <|end|> cat"),
    ):
        text = complete(*FLAGS, *flags).text
        found = bare(shown(tiny_model, *FLAGS, "--color-by", "rank", *flags, width=500))
        body = found.rpartition("rank ")[0]
        assert body.removesuffix("\n") == neutral(text).replace("\n", "⏎\n").removesuffix("\n")
