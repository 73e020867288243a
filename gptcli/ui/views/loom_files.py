"""A tree of texts for other programs: as Graphviz's DOT, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gptcli.loom.node import Node
from gptcli.loom.tree import Tree
from gptcli.ui.terminal.visible import neutral, shortened
from gptcli.ui.views.loom import Row, in_line, rows, sources, told
from gptcli.ui.views.source import where
from gptcli.ui.views.tree import quoted
from gptcli.units import percent

#: How wide a box is, in characters, and how much of a text it has.
_LINE, _BOX = 40, 400
#: The same of a line above the texts.
_OVERVIEW = 60
#: What could mean something in a line of Markdown.
_MEANT = re.compile(r"[\\`*_\[\]<>&#~|$]")


def as_dot(tree: Tree) -> Iterator[str]:
    """The lines of a Graphviz digraph: texts in boxes, edges with the mean probability.

    Marked ones have a heavy frame, what a person wrote has corners, an end is an oval.
    """
    yield "digraph loom {"
    yield "  rankdir=LR;"
    yield f'  label="{quoted(in_line("; ".join(map(where, sources(tree)))))}";'
    yield '  node [shape=box, fontname="sans-serif"];'
    yield '  edge [fontname="sans-serif"];'
    for each in tree.order():
        node = tree.nodes[each]
        shape = "shape=oval" if node.over else "style=rounded" if node.way else "style=solid"
        mark = ", penwidth=3" if node.marked else ""
        yield f'  n{node.id} [label="{_boxed(node)}", {shape}{mark}];'
        if node.parent is not None:
            share = "" if node.mean is None else percent(node.mean)
            yield f'  n{node.parent} -> n{node.id} [label="{share}"];'
    yield "}"


def _boxed(node: Node) -> str:
    """A text in lines set to the left, where Graphviz breaks none."""
    text = neutral(node.text).replace("\t", "⇥")
    lines = []
    for line in shortened(text, _BOX).split("\n"):
        parts = re.findall(rf".{{1,{_LINE}}}(?:\s|$)|.{{1,{_LINE}}}", line) or [""]
        lines += [quoted(part) for part in parts]
    lines += ["(end)"] if node.over else []
    return "".join(f"{line}\\l" for line in lines)


def as_markdown(tree: Tree) -> Iterator[str]:
    """The lines of a document: the tree with a number for each text, then each text whole.

    All that anybody wrote stands in fenced blocks, in which nothing is Markdown; a fence is longer
    than every run of backticks within.
    """
    order = tree.order()
    numbers = {each: number for number, each in enumerate(order)}
    digits = len(str(len(order)))
    yield "# Loom"
    for source in sources(tree):
        yield ""
        yield _MEANT.sub(r"\\\g<0>", in_line(where(source)))
    yield ""
    drawn = rows(tree, order)
    lines = (f"{numbers[row.node.id]:>{digits}}  {_short(row)}".rstrip() for row in drawn)
    yield from _fenced("\n".join(lines))
    for each in order:
        node = tree.nodes[each]
        yield ""
        yield f"## {numbers[each]}{' ★' if node.marked else ''}"
        yield ""
        after = [] if node.parent is None else [f"after {numbers[node.parent]}"]
        # Where it was drawn stands above, and is somebody's words.
        words = told(node, [node])[: -1 if node.way or node.judge else None]
        yield _sentence(", ".join([*after, *words]))
        yield ""
        yield from _fenced(node.text)


def _short(row: Row) -> str:
    mean = "" if row.node.mean is None else f"  {percent(row.node.mean)}"
    return f"{row.guide}{shortened(row.label, _OVERVIEW)}{mean}"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _fenced(text: str) -> Iterator[str]:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    yield f"{fence}text"
    yield text
    yield fence
