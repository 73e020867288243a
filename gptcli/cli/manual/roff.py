"""A small writer of man pages: plain text → the macros of man(7), as pure ASCII.

Sources: man-pages(7) (which sections, in which order, a sentence per line), groff_man(7) and
mandoc's man(7) (the macros), groff_char(7) (the names of characters). Only what both groff and
mandoc know is used. Every function gives whole lines of roff, or a piece of one where it says so.
"""

from __future__ import annotations

import re
import textwrap

_WIDTH = 78

# Characters that roff takes for something else, or shows as their typographic cousins.
_NAMED = {
    "\\": r"\e",
    "-": r"\-",
    "'": r"\(aq",
    "`": r"\(ga",
    "^": r"\(ha",
    "~": r"\(ti",
    '"': r"\(dq",
}
_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z\[(<])")
_MARKED_SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z\[(<`])")
#: A word of prose with hyphens in it, as against an option, a path or a name.
_HYPHENATED = re.compile(r"[^\w-]*[A-Za-z]+(?:-[A-Za-z]+)+[^\w-]*")
#: What is typed, as Markdown has it, and another page with its section.
_CODE = re.compile(r"`([^`\n]+)`")
_MARKS = re.compile(rf"{_CODE.pattern}|(?<![\w-])([a-z][a-z0-9-]*)\(([1-9])\)")
#: Stands for a space within what is typed, where no sentence ends and no word.
_GLUE = "\0"


def literal(text: str) -> str:
    """Part of a line: `text` such that the page shows exactly its characters. No newlines."""
    return "".join(_character(c) for c in text)


def _character(c: str) -> str:
    return _NAMED.get(c) or (c if " " <= c <= "~" else rf"\[u{ord(c):04X}]")


def bold(text: str) -> str:
    """Part of a line: what the user types as it stands."""
    return rf"\fB{literal(text)}\fR"


def italic(text: str) -> str:
    """Part of a line: what the user replaces."""
    return rf"\fI{literal(text)}\fR"


def prose(text: str, *, marks: bool = False) -> list[str]:
    """Lines of running text; each sentence begins a line, so that roff spaces it.

    marks: `code` and names of pages, as in man(7), are bold.
    """
    words = re.split(r"[ \t\n]+", text.strip(" \t\n"))
    write, end, joined = _prose_word, _SENTENCE_END, " ".join(words)
    if marks:
        write, end, joined = _marked, _MARKED_SENTENCE_END, _glued(joined)
    lines: list[str] = []
    for sentence in end.split(joined):
        escaped = " ".join(write(word) for word in sentence.split(" "))
        wrapped = textwrap.wrap(escaped, _WIDTH, break_long_words=False, break_on_hyphens=False)
        # Only a sentence's own end may look like one.
        lines += [re.sub(r"([.!?])$", r"\1\\&", line) for line in wrapped[:-1]] + wrapped[-1:]
    return [text_line(line.replace(_GLUE, " ")) for line in lines]


def _prose_word(word: str) -> str:
    # A hyphen proper, where roff may break the line.
    escaped = literal(word)
    return escaped.replace(r"\-", "-") if _HYPHENATED.fullmatch(word) else escaped


def _marked(word: str) -> str:
    escaped, end = "", 0
    for match in _MARKS.finditer(word):
        escaped += _prose_word(word[end : match.start()])
        code, page, section = match.groups()
        # Still glued: also a line ends beside code, not within.
        typed = bold(code.replace(_GLUE, " ")).replace(" ", _GLUE) if code else ""
        escaped += typed if code else f"{bold(page)}({section})"
        end = match.end()
    return escaped + _prose_word(word[end:])


def inline(text: str) -> str:
    """Part of a line, with the marks that `prose` may have. No newlines."""
    return " ".join(map(_marked, _glued(text).split(" "))).replace(_GLUE, " ")


def _glued(text: str) -> str:
    return _CODE.sub(lambda match: match[0].replace(" ", _GLUE), text)


def text_line(roff: str) -> str:
    """A line that already is roff, safe from being taken for a request."""
    return rf"\&{roff}" if roff.startswith((".", "'")) else roff


def paragraphs(text: str) -> list[str]:
    r"""The paragraphs of a docstring; one that is indented, or begins with \b, keeps its lines."""
    lines: list[str] = []
    for block in re.split(r"\n[ \t]*\n", text.strip("\n")):
        lines += [".PP"] if lines else []
        if block.startswith(("\b", "  ")):
            lines += verbatim(textwrap.dedent(block.removeprefix("\b").strip("\n")))
        else:
            lines += prose(block)
    return lines


def verbatim(text: str, indent: int = 4) -> list[str]:
    """Indented lines that are not filled: commands, files."""
    shown = [text_line(literal(line)) for line in text.split("\n")]
    return [f".RS {indent}", ".nf", *shown, ".fi", ".RE"]


def item(tag: str, body: list[str]) -> list[str]:
    """A tag, which is roff already, with its explanation indented beneath it."""
    return [".TP", text_line(tag), *body]


def table(rows: list[tuple[str, str]], width: int) -> list[str]:
    """Pairs of tag and explanation, both roff already, a line each; `width` is the tags'."""
    items = [line for tag, body in rows for line in (f".TP {width}", tag, body)]
    return [".PP", ".PD 0", *items, ".PD"]


def title(name: str, section: int, date: str, source: str, manual: str) -> list[str]:
    """What begins a page; lines are not stretched, and words (which may be names) not broken."""
    head = f'.TH {literal(name.upper())} {section} {date} "{literal(source)}" "{literal(manual)}"'
    return [head, ".nh", ".ad l"]


def section(name: str) -> str:
    """A heading."""
    return f".SH {_argument(name)}"


def subsection(name: str) -> str:
    """A heading below a heading."""
    return f".SS {_argument(name)}"


def _argument(text: str) -> str:
    escaped = literal(text)
    return f'"{escaped}"' if " " in escaped or not escaped else escaped


def references(names: list[tuple[str, int]]) -> list[str]:
    """Other pages, separated by commas: (name, section)."""
    last = len(names) - 1
    return [
        f".BR {literal(name)} ({number}){',' if i < last else ''}"
        for i, (name, number) in enumerate(names)
    ]
