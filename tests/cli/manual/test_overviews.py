"""The pages of section 7: their little Markdown becomes roff, and they know what gptcli knows."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gptcli.backends.local import families
from gptcli.cli.manual import overviews, roff
from gptcli.models import aliases
from tests.cli.manual.test_manual import PAGES, ROFFISH, TEXT, shown, words

NAMES = {path: text for path, text in PAGES.items() if path.startswith("man7/")}
LINTERS = [
    [tool, *arguments]
    for tool, *arguments in (
        ("mandoc", "-T", "lint", "-W", "warning"),
        ("groff", "-ww", "-k", "-man", "-T", "utf8"),
    )
    if shutil.which(tool)
]
#: What a terminal of 80 columns leaves of a line that is indented twice, as roff does by itself.
WIDEST = 80 - 7 - 4 - 1


def test_each_source_is_a_page() -> None:
    """A source that is not found, or a page that the README names and nobody writes."""
    named = ("formats", "models", "performance", "remote", "serve")
    assert set(NAMES) == {f"man7/gptcli-{name}.7" for name in named}


@pytest.mark.parametrize("path", NAMES)
def test_every_page_begins_as_man_pages_do(path: str) -> None:
    """A NAME that apropos(1) cannot read, or text before the first heading."""
    name = path.removeprefix("man7/").removesuffix(".7")
    head = NAMES[path].partition(".SH DESCRIPTION")[0]
    assert re.search(rf"^\.SH NAME\n{re.escape(roff.literal(name))} \\- [a-z].*[^.]\n$", head, re.M)
    assert re.search(rf"^\.TH {re.escape(roff.literal(name.upper()))} 7 ", head, re.M)


@pytest.mark.parametrize("path", NAMES)
def test_no_mark_of_the_source_is_left(path: str) -> None:
    """A fact that nobody puts in, a backtick without its pair, a list that is read as prose."""
    page = NAMES[path].partition("\n")[2]
    text = shown(page)
    assert not [name for name in overviews.FACTS if f"{{{name}}}" in text]
    assert "`" not in text
    assert not re.search(r"^\\- |^#", page, re.M)


def test_every_fact_has_its_place() -> None:
    """A list that is found for nobody, since the source that named it was rewritten."""
    sources = "".join(path.read_text("utf-8") for path in overviews.PLACE.glob("*.md"))
    assert [name for name in overviews.FACTS if f"{{{name}}}" not in sources] == []


def test_lists_are_the_programs_own() -> None:
    """A family or a short name that was added and that the page does not know."""
    page = NAMES["man7/gptcli-models.7"]
    for name in [*(each.name for each in families.listing()), *aliases.names()]:
        assert roff.bold(name) in page, name


@pytest.mark.parametrize("path", NAMES)
def test_pages_that_are_named_exist(path: str) -> None:
    """A reference to a page that was renamed."""
    named = re.findall(r"(?:\\fB|\.BR )([a-z\\-]+)(?:\\fR| )\((\d)\)", NAMES[path])
    assert {f"man{n}/{shown(name)}.{n}" for name, n in named} <= set(PAGES)
    assert len(named) >= len(PAGES) - 1


@pytest.mark.parametrize("path", NAMES)
def test_kept_lines_fit_a_terminal(path: str) -> None:
    """A table that 80 columns fold."""
    kept = re.findall(r"^\.nf\n(.*?)^\.fi", NAMES[path], re.M | re.S)
    assert [line for block in kept for line in shown(block).split("\n") if len(line) > WIDEST] == []


@pytest.mark.parametrize("linter", LINTERS, ids=[tool for tool, *_ in LINTERS])
@pytest.mark.parametrize("path", NAMES)
def test_linters_find_nothing(path: str, linter: list[str]) -> None:
    """A macro out of its place, an escape that one of the formatters does not know."""
    done = subprocess.run(
        linter, input=NAMES[path], capture_output=True, encoding="utf-8", timeout=60
    )
    told = done.stderr + (done.stdout if linter[0] == "mandoc" else "")
    assert (done.returncode, told) == (0, "")


def test_blocks(tmp_path) -> None:
    """A list taken for prose, a kept block that is filled, a paragraph that runs into the next."""
    source = tmp_path / "gptcli-x.md"
    source.write_text(
        "# gptcli-x: what x is\n\nOne `a. B` and man(7),\ntwo. `c` three.\n\nFour.\n\n## NEXT\n\n"
        "Five:\n\n- `t`: Six\n  seven.\n- u, v: Eight: nine.\n\n    a  b\n     c\n\n"
        "### Sub\n\nTen.\n"
    )
    assert overviews._page(source) == [
        *(".SH NAME", r"gptcli\-x \- what x is", ".SH DESCRIPTION"),
        *(r"One \fBa. B\fR and \fBman\fR(7), two.", r"\fBc\fR three.", ".PP", "Four."),
        *(".SH NEXT", "Five:", ".TP", r"\fBt\fR", "Six seven.", ".TP", "u, v", "Eight: nine."),
        *(".PP", ".RS 4", ".nf", "a  b", r" c", ".fi", ".RE", ".SS Sub", "Ten."),
    ]


@given(TEXT | ROFFISH)
def test_marked_prose_survives(text: str) -> None:
    """A mark that takes more than its backticks away, or roff that prose keeps from meaning."""
    text = re.sub(r"[`(\0]", "", text)
    lines = roff.prose(text, marks=True)
    assert not any(line.startswith((".", "'")) or "\n" in line for line in lines)
    assert " ".join(shown(line) for line in lines) == words(text)


@example("\\" * 38 + ". \\")
@given(st.text(st.sampled_from("ab.-\\' "), min_size=1).filter(str.strip))
def test_what_is_typed_is_bold_and_whole(text: str) -> None:
    """Code that a sentence's end splits, whose hyphens are typographic, or that loses a space."""
    code = " ".join(text.split())
    joined = " ".join(roff.prose(f"say `{code}` now", marks=True))
    assert joined == f"say {roff.bold(code)} now"
    assert roff.inline(f"`{code}`") == roff.bold(code)
