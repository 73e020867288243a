"""What is seen: the tree, the text up to where one is, how it came, and what keys do."""

from __future__ import annotations

import re
from typing import TypeAlias

from prompt_toolkit.formatted_text import StyleAndTextTuples

from gptcli.cli.loom.keys import briefly, explained
from gptcli.cli.loom.weaver import Weaver
from gptcli.plain import dataclass
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.visible import neutral, one_line, shortened
from gptcli.ui.views import loom as view
from gptcli.units import counted, percent

#: Pieces of text, each with its style, as prompt_toolkit has them.
Fragments: TypeAlias = StyleAndTextTuples
#: From so many columns on the text stands beside the tree, else below it.
_WIDE = 100
#: Lines that are neither: the title, how it came, the keys; between tree and text there is one.
_OTHER_LINES = 3
#: A word with the space after it, or a space or the end of a line; wide letters by themselves.
_UNIT = re.compile(r"[\u2e80-\u9fff\uf900-\uffef]|[^\s\u2e80-\u9fff\uf900-\uffef]+ ?|\s")
_LOW = 3
#: A token and its probability, when they are listed.
_TOKEN, _PERCENT, _GAP = 14, 9, 3
STYLES = {
    "title": "bold",
    "number": "ansicyan",
    "guide": "ansibrightblack",
    "mark": "bold",
    "hand": "italic",
    "at": "reverse",
    "now": "bold",
    "rule": "ansibrightblack",
    "keys": "ansibrightblack",
    "said": "ansiyellow",
}


@dataclass(frozen=True)
class Sizes:
    """How many columns and lines tree and text have, and whether they stand side by side.

    lines: all that they have together.
    """

    columns: int
    lines: int
    wide: bool
    tree: tuple[int, int]
    text: tuple[int, int]

    @classmethod
    def of(cls, columns: int, lines: int) -> Sizes:
        """On a terminal of this size."""
        room = max(lines - _OTHER_LINES, 2)
        if columns >= _WIDE:
            tree = columns * 11 // 20
            return cls(columns, room, True, (tree, room), (columns - tree - 1, room))
        text = max(room * 2 // 5, 1)
        return cls(columns, room, False, (columns, max(room - text - 1, 1)), (columns, text))


def title(weaver: Weaver, model: str, sizes: Sizes) -> Fragments:
    """The file, how much there is, the model."""
    path, tale = weaver.keeper.path, weaver.tale
    file = "no file yet" if path is None else path.name
    unsaved = "*" if weaver.keeper.unsaved and path is not None else ""
    words = [f"{file}{unsaved}", counted(len(tale.nodes), "text"), model]
    text = one_line(f"loom · {' · '.join(words)}")
    return [("class:title", shortened(text, sizes.columns))]


def tree(weaver: Weaver, sizes: Sizes) -> Fragments:
    """The lines around where one is."""
    width, height = sizes.tree
    tale = weaver.tale
    order = tale.order()
    place = order.index(tale.at)
    # A low screen has no room for heads.
    lines = height - 1 if height > _LOW else height
    first = min(max(place - lines // 2, 0), max(len(order) - lines, 0))
    found: Fragments = [("class:keys", view.heads(width))] if lines < height else []
    for row in view.rows(tale, order[first : first + lines], width):
        kind = "class:mark" if row.node.marked else "class:hand" if row.node.way is None else ""
        here = row.node.id == tale.at
        growing = "…" if row.node.id in tale.growing and not row.label else ""
        found += [("", "\n")] if found else []
        found += [("class:number", row.numbers), ("class:guide", row.guide)]
        found.append((f"{kind} {'class:at' if here else ''}", row.label or growing or " "))
    return found


def helped(_: Weaver, sizes: Sizes) -> Fragments:
    """What the keys do, on all of the screen, side by side where it is low."""
    lines = [f"{shown:<15} {meaning}" for shown, meaning in explained()]
    across = -(-len(lines) // sizes.lines)
    height = -(-len(lines) // across)
    width = max(map(len, lines)) + _GAP
    rows = ("".join(f"{each:<{width}}" for each in lines[at::height]) for at in range(height))
    return [("", "\n".join(shortened(row.rstrip(), sizes.columns) for row in rows))]


def text(weaver: Weaver, sizes: Sizes) -> Fragments:
    """The end of the text up to here, or the tokens of the last part of it."""
    width, height = sizes.text
    tale = weaver.tale
    if weaver.tokens:
        return _tokens(weaver, width, height)
    room = width * height
    found: Fragments = []
    for node in reversed(tale.path(tale.at)):
        # More than is seen is not drawn: the prompt may be a book.
        said = neutral(node.text[-room:]).replace("\t", "    ")
        found.append(("class:now" if node.id == tale.at else "", said))
        room -= len(node.text)
        if room <= 0:
            break
    found.append(("", "" if room > 0 else "…"))
    return [*_wrapped([*reversed(found)], width), ("[SetCursorPosition]", "")]


def _wrapped(fragments: Fragments, width: int) -> Fragments:
    """Lines broken at spaces; where a word is longer than a line, the terminal breaks it."""
    found: Fragments = []
    used = 0
    for style, said, *_ in fragments:
        parts = []
        for unit in _UNIT.findall(said):
            cells = paint.cell_len(unit.rstrip())
            if used and used + cells > width:
                parts.append("\n")
                used = 0
            parts.append(unit)
            used = 0 if unit.endswith("\n") else used + paint.cell_len(unit)
            used = used % width if used > width and cells > width else used
        found.append((style, "".join(parts)))
    return found


def _tokens(weaver: Weaver, width: int, height: int) -> Fragments:
    node = weaver.tale.here
    if not node.pieces:
        return [("class:keys", shortened("no probabilities are known of it", width))]
    cells = [
        f"{shortened(token, _TOKEN):<{_TOKEN}}{percent(share):>{_PERCENT}}"
        for token, share in view.tokens(node)
    ]
    across = max((width + _GAP) // (_TOKEN + _PERCENT + _GAP), 1)
    lines = [(" " * _GAP).join(cells[at : at + across]) for at in range(0, len(cells), across)]
    return [("", "\n".join(lines[-height:]))]


def about(weaver: Weaver, sizes: Sizes) -> Fragments:
    """How the text here came."""
    if weaver.asked is not None and weaver.asked.lines:
        words = f"{weaver.asked.label}: Enter keeps it, Alt-Enter is a new line, Esc drops it"
        return [("class:said", shortened(words, sizes.columns))]
    tale = weaver.tale
    words = one_line(" · ".join(view.told(tale.here, tale.path(tale.at))))
    return [("class:rule", shortened(words, sizes.columns))]


def bottom(weaver: Weaver, sizes: Sizes) -> Fragments:
    """What was said last, else what goes on, else the keys."""
    if weaver.said:
        return [("class:said", shortened(one_line(weaver.said), sizes.columns))]
    tale = weaver.tale
    if weaver.busy and not tale.growing:
        return [("class:said", shortened("the model reads; Esc stops it", sizes.columns))]
    if tale.growing:
        count = sum(len(tale.nodes[each].pieces) for each in tale.growing)
        words = f"the model writes: {counted(count, 'token')}; Esc stops it"
        return [("class:said", shortened(words, sizes.columns))]
    return [("class:keys", briefly(sizes.columns))]
