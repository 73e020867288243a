"""Pages: self-contained, well-formed, and nothing that a text says becomes markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line

NASTY = '</script><img src=//x onerror=a()> &<!--"ש'
VOID = {"meta", "link", "br", "input"}
VIEWS = {
    "lens": ("lens", "--track", "t", NASTY),
    "parts": ("lens", "--parts", "head", "--versus", "t", NASTY),
    "ablate": ("ablate", "--each", "position", "--target", "<b>", NASTY),
    "patch": ("patch", "--clean", NASTY + "a", "--corrupt", NASTY + "b"),
    "why": ("why", "--pairs", "--target", "<b>", NASTY),
    "attention": ("attention", NASTY),
    "window": ("attention", "--window", "9:20", "--layer", "0", NASTY),
    "one-head": ("attention", "--layer", "1", "--head", "0", NASTY),
    "neighbors": ("neighbors", "cat", NASTY),
    "contexts": ("neighbors", "script", "--in", NASTY, "--in", "a script"),
    "explain": ("explain", "--steps", "2", "--seed", "1", NASTY),
    "explain-zh": ("explain", "--lang", "zh", "--seed", "1", NASTY),
    "what-if": ("explain", "--what-if", "img=</script><b>&'", "--temp", "0", NASTY),
    "shapes": ("explain", "--shapes", NASTY),
    "loom": ("loom", "--save", str(Path(__file__).with_name("tale.json"))),
    "complete": ("complete", "-n", "9", "--seed", "1", NASTY),
}


class Page(HTMLParser):
    """What a page consists of; elements must be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data = ""
        self.texts = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"] and self.elements[-1][1].get("id") == "data":
            self.data += data
        elif self.open[-1:] not in (["script"], ["style"]):
            self.texts += data


@pytest.mark.parametrize(
    "view", [("ablate", "--each", "head", "--target", "t"), ("lens", "--parts", "head")]
)
def test_a_scale_has_the_colours_of_what_it_names(view, tiny_model, tmp_path):
    """Catches a scale whose left end has the colour of the numbers that its right end names."""
    path = tmp_path / "page.html"
    command, *rest = view
    assert run(command, "-m", str(tiny_model), "--html", str(path), *rest, "the cat").code == 0
    text = path.read_text(encoding="utf-8")
    low, ramp = re.findall(r'"legend"><span>([^<]*)</span><span class="ramp (\w+)"', text)[0]
    (left,) = re.findall(rf"\.ramp\.{ramp} .*to right, var\(--(\w+)\)", text)
    spots = re.findall(r'<td(?: class="([a-z ]*)")? tabindex="-1" style="--v:([\d.]+)"[^>]*>', text)
    tips = re.findall(r'style="--v:[\d.]+" data-tip="[^"]* ([-+][\d.e-]+)"', text)
    below = {"below" in kinds for (kinds, _), tip in zip(spots, tips, strict=True) if tip[0] == "-"}
    assert low[0] == "-" and below == {left == "minus"}


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_is_one_file_in_which_texts_stay_texts(view, tiny_model, tmp_path):
    """Catches markup made of a prompt, something that is loaded, and broken nesting."""
    path = tmp_path / "page.html"
    command, *rest = VIEWS[view]
    done = run(command, "-m", str(tiny_model), "--html", str(path), *rest)
    assert done.code == 0 and done.out
    assert f"wrote {path}" in done.err
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.open == []
    tags = [tag for tag, _ in page.elements]
    assert "img" not in tags and tags.count("script") == 2 and tags.count("h1") == 1
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert "src" not in attributes
        assert tag != "link" or attributes["href"] == "data:,"
    json.loads(page.data)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    assert "url(" not in style and "@import" not in style and "prefers-color-scheme: dark" in style
    assert 'lang="zh"' in text if view.endswith("zh") else 'lang="en"' in text
    if view not in ("neighbors", "shapes"):
        assert "onerror" in page.texts + page.data


def test_a_page_to_stdout_is_the_same(tiny_model, tmp_path):
    """Catches a view that is printed into the page."""
    flags = ("lens", "-m", str(tiny_model), "the cat")
    done = run(*flags, "--html", "-")
    run(*flags, "--html", str(tmp_path / "a.html"))
    assert done.out == (tmp_path / "a.html").read_bytes()
    assert done.err == ""


@pytest.mark.parametrize("flag", ["--html", "--npz"])
def test_a_file_that_cannot_be_written(flag, tiny_model, tmp_path):
    """Catches a traceback, and a half-written file left behind."""
    done = run("lens", "-m", str(tiny_model), flag, str(tmp_path / "no" / "a"), "a")
    assert done.code == 6 and "No such file" in done.err
    assert done.err.count("\n") == 1
    (tmp_path / "dir").mkdir()
    done = run("lens", "-m", str(tiny_model), flag, str(tmp_path / "dir"), "a")
    assert done.code == 6
    assert [each.name for each in tmp_path.iterdir()] == ["dir"]


@pytest.mark.slow
class TestPictures:
    """--png."""

    @pytest.mark.parametrize(
        "view", [*(view for view in VIEWS if view not in ("complete", "loom")), "token"]
    )
    def test_a_picture_is_drawn(self, view, tiny_model, tmp_path: Path):
        """Catches a view without a picture, and a token that matplotlib takes for a formula."""
        pytest.importorskip("matplotlib")
        path = tmp_path / "a.png"
        views = VIEWS | {"token": ("attention", "--token", "-1", NASTY)}
        command, *rest = views[view]
        rest = [f"$\\frac{{$ {each}" if each == NASTY else each for each in rest]
        done = run(command, "-m", str(tiny_model), "--png", str(path), *rest)
        assert done.code == 0, done.err
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) > 5000
        assert done.err.count("\n") == done.err.count("gptcli: ")

    def test_without_matplotlib_it_is_one_line(self, tiny_model, monkeypatch):
        """Catches a traceback, or a model that is loaded first."""
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        done = run("lens", "-m", str(tiny_model), "--png", "a.png", "a")
        assert_one_line(done, 2, "--png: needs matplotlib", "gptcli[plot]")
