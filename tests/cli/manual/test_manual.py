"""The man pages: equal to what the app gives, whole, and exact to the character.

PAGES are by their paths below a directory of manuals; COMMAND_PAGES are those of section 1.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from gptcli import config
from gptcli.cli.app import app
from gptcli.cli.manual import pages as manual
from gptcli.cli.manual import roff

CHECKOUT = Path(__file__).parents[3]
EVERY = manual.pages()
#: A page of another name shows the one that it names.
PAGES = {path: text for path, text in EVERY.items() if not text.startswith(".so ")}
COMMAND_PAGES = {path: text for path, text in PAGES.items() if path.startswith("man1/")}
OVERVIEW = PAGES["man1/gptcli.1"]

#: As a command's module has them; this one's are those of `small_app`.
EXAMPLES = (("Look.", "gptcli look 'x'"),)

#: What docstrings and help may hold: no control characters, no lone surrogates.
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")))
ROFFISH = st.text(st.sampled_from("\\.'\"-`^~ ab(\n"))
RENDERERS = [
    [tool, *arguments]
    for tool, arguments in (("mandoc", ["-T", "utf8"]), ("groff", ["-k", "-man", "-T", "utf8"]))
    if shutil.which(tool)
]


def shown(line: str) -> str:
    """What a formatter shows for a line of ours: an escape's meaning, by groff_char(7)."""
    names = {"e": "\\", "-": "-", "(aq": "'", "(ga": "`", "(ha": "^", "(ti": "~", "(dq": '"'}
    names |= dict.fromkeys(["&", "fB", "fI", "fR"], "")

    def meaning(match: re.Match[str]) -> str:
        return chr(int(match[2], 16)) if match[2] else names[match[1]]

    return re.sub(r"\\(\[u([0-9A-F]{4,6})\]|\(..|f.|.)", meaning, line)


def words(text: str) -> str:
    return " ".join(re.split(r"[ \t\n]+", text.strip(" \t\n")))


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every visible command with its path, walked without the help of what is tested."""
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from commands(child, *path, name)


COMMANDS = list(commands(app()))


def page_of(path: tuple[str, ...]) -> str:
    return "man1/" + "-".join(("gptcli", *path[:1])) + ".1"


def test_the_committed_pages_are_what_the_app_gives() -> None:
    """An option or a docstring was changed and the pages were not made anew."""
    stale = [
        name
        for name, text in EVERY.items()
        if not (CHECKOUT / "man" / name).is_file()
        or (CHECKOUT / "man" / name).read_text(encoding="ascii") != text
    ]
    assert not stale, f"made anew by: {manual.COMMAND}"


def test_no_page_is_left_of_a_command_that_is_gone() -> None:
    """A command was renamed or removed, and its page still is installed."""
    place = CHECKOUT / "man"
    left = {str(p.relative_to(place)) for p in place.rglob("*") if p.is_file()} - set(EVERY)
    assert not left, "remove from man/"


def test_a_page_of_another_name_shows_one_that_is_there() -> None:
    """Catches a name whose page was lost with the other name's."""
    shown_by = {name: text.split()[1] for name, text in EVERY.items() if name not in PAGES}
    assert shown_by == {"man1/gptcli-top-k.1": "man1/gptcli-next.1"}
    assert set(shown_by.values()) <= set(PAGES)


def test_every_command_has_a_page() -> None:
    """A subcommand that the walk over the app misses."""
    assert {page_of(path) for path, _ in COMMANDS} == set(COMMAND_PAGES)


@pytest.mark.parametrize(("path", "command"), COMMANDS, ids=[" ".join(p) for p, _ in COMMANDS])
def test_every_visible_option_is_on_the_page(path: tuple[str, ...], command: Any) -> None:
    """A panel, a second name or a --no- form that the page leaves out."""
    page = PAGES[page_of(path)]
    for param in command.params:
        if param.param_type_name == "option" and not param.hidden:
            for name in [*param.opts, *param.secondary_opts]:
                assert roff.bold(name) in page, name


@pytest.mark.parametrize("name", COMMAND_PAGES)
def test_every_page_has_its_sections(name: str) -> None:
    """A module without EXAMPLES, or a section whose heading got lost."""
    found = re.findall(r'^\.SH "?([A-Z ]+)', PAGES[name], re.MULTILINE)
    wanted = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "SEE ALSO"]
    assert [section for section in found if section in wanted] == wanted


@pytest.mark.parametrize("name", PAGES)
def test_every_other_page_is_named(name: str) -> None:
    """A SEE ALSO that lacks a page, or that names its own."""
    tail = shown(PAGES[name].rpartition(".SH")[2])
    named = {f"man{n}/{page}.{n}" for page, n in re.findall(r"\.BR (\S+) \((\d)\)", tail)}
    assert named == set(PAGES) - {name}


def test_files_are_where_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A settings file or data directory that moved without the page."""
    monkeypatch.setenv("HOME", "/home/someone")
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "GPTCLI_DATA_DIR"):
        monkeypatch.delenv(variable, raising=False)
    files = words(shown(OVERVIEW.partition(".SH FILES")[2]))
    for directory in (config.user_file().parent, config.data_dir()):
        assert f"~/{directory.relative_to('/home/someone')}" in files


def test_every_variable_of_the_source_is_on_the_page() -> None:
    """An environment variable that the code obeys and the page does not know."""
    source = "".join(path.read_text("utf-8") for path in (CHECKOUT / "gptcli").rglob("*.py"))
    read = set(re.findall(r"""["'](GPTCLI_[A-Z_]+)["']""", source))
    missing = {name for name in read if roff.bold(name) not in OVERVIEW}
    assert not missing, "to be explained in cli/manual/text.py"


def small_app() -> typer.Typer:
    tool = typer.Typer(name="gptcli")
    group, inner = typer.Typer(name="group"), typer.Typer(name="inner")

    @tool.command()
    def look(
        where: str,
        also: Annotated[list[str] | None, typer.Argument(help="More of it.")] = None,
        depth: Annotated[
            int, typer.Option(help="How deep. Default: 3.", rich_help_panel="Care")
        ] = 3,
        secret: Annotated[bool, typer.Option("--secret", hidden=True)] = False,
    ) -> None:
        """Look at GPT."""

    @tool.command(hidden=True)
    def unseen() -> None:
        """Not for users."""

    @inner.command()
    def deep() -> None:
        """Go deep."""

    @group.command()
    def flat() -> None:
        """Stay."""

    group.add_typer(inner)
    tool.add_typer(group, help="Groups of groups.")
    return tool


def test_a_new_command_needs_no_change() -> None:
    """What only the present commands have, built into the walk: no nesting, nothing hidden."""
    found = manual.pages(typer.main.get_command(small_app()))
    commands = {path for path in found if path.startswith("man1/")}
    assert commands == {"man1/gptcli.1", "man1/gptcli-look.1", "man1/gptcli-group.1"}
    look, group = found["man1/gptcli-look.1"], found["man1/gptcli-group.1"]
    assert r"\fBgptcli look\fR [\fIOPTION\fR]... \fIWHERE\fR [\fIALSO\fR...]" in look
    assert ".SS Care\n.TP\n\\fB\\-\\-depth\\fR \\fI" in look
    assert "How deep.\nDefault: 3.\n" in look
    assert r"gptcli look \(aqx\(aq" in look
    assert not any("secret" in page or "unseen" in page for page in found.values())
    assert '.SS "gptcli group flat"\nStay.' in group
    assert '.SS "gptcli group inner deep"\nGo deep.' in group


def test_terminal_and_environment_leave_no_trace(tmp_path: Path) -> None:
    """Pages that differ with the width, the colours, the locale or the hash seed of who makes them.

    On a terminal the app has another markup mode than off one.
    """
    leader, follower = pty.openpty()
    odd = {"COLUMNS": "40", "FORCE_COLOR": "1", "TERM": "xterm-256color", "LANG": "de_DE.UTF-8"}
    odd |= {"GPTCLI_MODEL": "other", "HOME": str(tmp_path), "PYTHONHASHSEED": "7"}
    try:
        subprocess.run(
            [sys.executable, "-m", "gptcli.cli.manual", str(tmp_path / "made")],
            env=os.environ | odd,
            stdout=follower,
            check=True,
            timeout=120,
        )
    finally:
        os.close(leader)
        os.close(follower)
    made = tmp_path / "made"
    files = [path for path in made.rglob("*") if path.is_file()]
    assert {str(path.relative_to(made)): path.read_text("ascii") for path in files} == EVERY


@given(TEXT | ROFFISH.map(lambda text: text.replace("\n", "")))
def test_literal_text_survives(text: str) -> None:
    """A backslash, a quote, a hyphen or an en-dash that roff shows as something else."""
    line = roff.literal(text)
    assert line.isascii()
    assert shown(line) == text


@given(TEXT | ROFFISH)
def test_prose_survives(text: str) -> None:
    """A line that begins with a dot or a quote, which roff takes for a request and drops."""
    lines = roff.prose(text)
    assert not any(line.startswith((".", "'")) or "\n" in line for line in lines)
    assert " ".join(shown(line) for line in lines) == words(text)


@given(TEXT | ROFFISH)
def test_verbatim_lines_survive(text: str) -> None:
    """A command of an example that loses a line, its indentation or a character."""
    lines = roff.verbatim(text)
    inner = lines[lines.index(".nf") + 1 : lines.index(".fi")]
    assert not any(line.startswith((".", "'")) for line in inner)
    assert "\n".join(shown(line) for line in inner) == text


def test_hyphens() -> None:
    """An option that cannot be copied from the page, or a word that cannot be broken there."""
    assert roff.prose("a tab-separated list (log-probability).") == [
        "a tab-separated list (log-probability)."
    ]
    assert roff.prose("--top-k -1, (-0), org/a-b, 2-3") == [
        r"\-\-top\-k \-1, (\-0), org/a\-b, 2\-3"
    ]


def test_sentences_begin_lines() -> None:
    """A space of the wrong width after a full stop, or one within a sentence."""
    assert roff.prose("One\ntwo.  Three? [four]") == ["One two.", "Three?", "[four]"]
    long = "word " * 14 + "e.g. more words"
    assert roff.prose(long) == [("word " * 14 + r"e.g.\&"), "more words"]


def test_paragraphs_and_kept_lines() -> None:
    """A docstring's paragraphs run together, or a table in it filled as if it were prose."""
    assert roff.paragraphs("One\ntwo.\n\nThree.\n\n    .a  b\n    c") == [
        *("One two.", ".PP", "Three.", ".PP"),
        *(".RS 4", ".nf", r"\&.a  b", "c", ".fi", ".RE"),
    ]
    assert roff.paragraphs("\b\na\n b") == [".RS 4", ".nf", "a", " b", ".fi", ".RE"]


def test_headings_keep_their_words_together() -> None:
    """A heading of two words of which roff takes the second for another argument."""
    assert roff.section("SEE ALSO") == '.SH "SEE ALSO"'
    assert roff.subsection('a "b"') == r'.SS "a \(dqb\(dq"'


@pytest.mark.parametrize("renderer", RENDERERS, ids=[tool for tool, *_ in RENDERERS])
@pytest.mark.parametrize(
    "text", [r"a\nb \fBc", "'quoted' `code` \"x\"", ".dot --x-y ^~", "0 – 1 … é 😀 ⏎"]
)
def test_formatters_agree(renderer: list[str], text: str) -> None:
    """An escape that is right by our own reading and wrong by that of who shows the page."""
    page = "\n".join([*roff.title("x", 1, "2026-01-01", "s", "m"), ".SH NAME", *roff.prose(text)])
    done = subprocess.run(
        renderer, input=page + "\n", capture_output=True, encoding="utf-8", check=True, timeout=60
    )
    # Some groffs show \- as a minus sign.
    assert text in done.stdout.replace("\N{MINUS SIGN}", "-")
