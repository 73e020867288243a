"""The page of explain: layers to step through, parts to switch off with numbers computed before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gptcli.backends.local import parts_off
from gptcli.cli.commands import explain_modes
from gptcli.engine.arrays import softmax
from gptcli.engine.edits import Edit
from gptcli.ui.pages import walk
from tests.cli.helpers import Done, run
from tests.opening import load
from tests.ui.pages.test_pages import Page

PROMPT = "the cat sat on the mat"


@pytest.fixture
def paged(tiny_model: Path, tmp_path: Path) -> Callable[..., tuple[Done, Page]]:
    """Run `explain --html` on the tiny model."""

    def call(*argv: str) -> tuple[Done, Page]:
        path = tmp_path / "page.html"
        done = run("explain", "-m", str(tiny_model), "--html", str(path), *argv)
        return done, Page(path.read_text(encoding="utf-8"))

    return call


def test_numbers_of_the_page_are_those_of_edited_passes(paged, tiny_model):
    """Catches a button that shows another part, round or token than it names."""
    flags = ("--temp", "0", "--steps", "2", PROMPT)
    _, page = paged(*flags)
    found = json.loads(run("explain", "-m", str(tiny_model), "--json", *flags).text)
    walks = json.loads(page.data)["walks"]
    runner = load(tiny_model, dtype="float32", device="cpu")
    ids = [each["id"] for each in found["rounds"][0]["tokens"]]
    for told, each in zip(walks, found["rounds"], strict=True):
        likeliest = {one["id"]: one["probability"] for one in each["distribution"]["top_logprobs"]}
        assert {one[3]: one[1] for one in told["says"]} == pytest.approx(likeliest, abs=1e-6)
        blocks = [block for layer in told["layers"] for block in layer["blocks"]]
        for block, own in zip(blocks, each["blocks"], strict=True):
            edited = runner.edited([Edit(own["block"], own["layer"], factor=0.0)])
            chances = softmax(edited.prefill([ids], edited.new_state()))[0].numpy()
            shown = {one[3]: one[1] for one in block["off"]}
            assert shown.keys() >= likeliest.keys() | {int(chances.argmax())}
            assert shown == pytest.approx({i: float(chances[i]) for i in shown}, abs=1e-5)
            (side,) = block["sides"]
            assert [one[3] for one in side["says"]] == [one["id"] for one in own["says"]]
            looks = [one["id"] for one in own.get("looks_at", [])]
            assert [one[3] for one in side["looks"]] == looks
        ids.append(each["drawn"]["id"])


def test_the_table_says_so_without_a_script(paged):
    """Catches numbers that only a script shows, and a walk that stands there without one."""
    _, page = paged("--temp", "0", PROMPT)
    (walked,) = json.loads(page.data)["walks"]
    hidden = [a for tag, a in page.elements if tag == "section" and a.get("class") == "walk"]
    assert [("hidden" in each) for each in hidden] == [True]
    tips = [a["data-tip"] for tag, a in page.elements if tag == "td" and "data-tip" in a]
    for layer in walked["layers"]:
        for block in layer["blocks"]:
            told = {one[3]: one[2] for one in block["off"]}[walked["says"][0][3]]
            assert f"{block['without']}: {told}" in tips


def test_both_walks_are_in_it(paged):
    """Catches one walk that is shown twice."""
    _, page = paged("--temp", "0", "--what-if", "cat=big old dog", PROMPT)
    (walked,) = json.loads(page.data)["walks"]
    assert walked["names"] == ["cat", "big old dog"]
    for layer in walked["layers"]:
        for block in layer["blocks"]:
            one, other = block["sides"]
            assert one["facts"] != other["facts"] and block["off"]


def test_a_long_prompt_is_not_run_again_and_again(paged, monkeypatch):
    """Catches a page that takes an hour, and one that says nothing of what it leaves out."""
    for module in (explain_modes, walk, parts_off):
        monkeypatch.setattr(module, "MOST_TOKENS", 3)
    done, page = paged("--temp", "0", PROMPT)
    (walked,) = json.loads(page.data)["walks"]
    assert done.code == 0 and "for prompts of 3 tokens at most" in page.texts
    assert "--html: switches no parts off after" in done.err
    assert all("off" not in block for layer in walked["layers"] for block in layer["blocks"])


def test_ctrl_c_keeps_what_is_done(paged, monkeypatch):
    """Catches a page that is lost, and half a table that looks like a whole one."""
    asked = parts_off.answer

    def cut(*args: Any) -> Iterator[Any]:
        parts = asked(*args)
        yield from (next(parts), next(parts), next(parts))
        raise KeyboardInterrupt

    monkeypatch.setattr(parts_off, "answer", cut)
    done, page = paged("--temp", "0", PROMPT)
    assert done.code == 130 and "partial: 3 of 4 parts were switched off" in done.err
    assert "3 of 4 parts were switched off" in page.texts
    blocks = [b for layer in json.loads(page.data)["walks"][0]["layers"] for b in layer["blocks"]]
    assert ["off" in block for block in blocks] == [True, True, True, False]
