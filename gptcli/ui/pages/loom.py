"""A tree of texts as a page: branches are opened and closed, every token tells its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gptcli.loom.node import Node, Piece
from gptcli.loom.tree import Tree
from gptcli.types.token import Source
from gptcli.ui.pages.page import page, paragraph, text
from gptcli.ui.terminal.visible import neutral, visible
from gptcli.ui.views.loom import joint_of, mean_of, sources, told
from gptcli.ui.views.measures import PROBABILITY
from gptcli.ui.views.source import where
from gptcli.units import counted, percent

_NOBODY = Source("no model", "none", "no dtype")


def loom(tree: Tree) -> str:
    """The page. What goes on in one way alone is one text; where it branches there is a list."""
    found = sources(tree) or [_NOBODY]
    marked = sum(node.marked for node in tree.nodes.values())
    labels = enumerate(PROBABILITY.labels)
    steps = "".join(f'<span class="p{step}">{text(label)}</span>' for step, label in labels)
    about = (
        f"{counted(len(tree.nodes), 'text')}, {marked} marked. Numbers are those of the model"
        " before any sampling; what a person wrote is grey. The arrow keys go from token to token."
    )
    parts = [
        paragraph(about, "quiet"),
        f'<p class="legend">probability{steps}</p>',
        *_drawn(tree),
        *(paragraph(where(each), "quiet") for each in found[1:]),
    ]
    frame = ['<div class="coloured by-probability loom">', *parts, "</div>"]
    return page("Loom", found[0], frame)


def _drawn(tree: Tree) -> Iterator[str]:
    """No recursion: a tree may be deeper than Python goes."""
    left: list[Node | str] = [tree.nodes[0]]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
            continue
        stretch = [each]
        while len(stretch[-1].children) == 1:
            stretch.append(tree.nodes[stretch[-1].children[0]])
        if each.parent is not None:
            yield f"<details open><summary>{text(_summary(stretch))}</summary>"
        yield _text(stretch)
        if each.parent is not None:
            left.append("</details></li>")
        children = stretch[-1].children
        if children:
            yield "<ul>"
            left.append("</ul>")
            for child in reversed(children):
                left += [tree.nodes[child], "<li>"]


def _summary(stretch: Sequence[Node]) -> str:
    first = stretch[0]
    known = f"mean {mean_of(first)} · all {joint_of(first)}"
    words = [known if first.pieces else "by hand" if first.way is None else "no numbers"]
    return " · ".join([*words, *(["★"] if any(each.marked for each in stretch) else [])])


def _text(stretch: Sequence[Node]) -> str:
    spans = "".join(map(_span, stretch))
    return f'<div class="text" tabindex="0" role="group" aria-label="tokens">{spans}</div>'


def _span(node: Node) -> str:
    how = ", ".join(told(node, [node]))
    pieces = "".join(
        _piece(content, tokens, how) if tokens else _written(content)
        for content, tokens in _attributed(node)
    )
    kind = "asked" if node.way is None else "said"
    mark = '<span class="mark">★</span>' if node.marked else ""
    end = '<span class="mark">(end)</span>' if node.over else ""
    return f'<span class="{kind}">{mark}{pieces}{end}</span>'


def _piece(content: str, tokens: Sequence[Piece], how: str) -> str:
    step = PROBABILITY.step(math.exp(math.fsum(each.logprob for each in tokens)))
    lines = [f"{visible(each.bytes)} {percent(math.exp(each.logprob))}" for each in tokens]
    tip = text("\n".join([*lines, how]))
    return f'<span class="p{step}" tabindex="-1" data-tip="{tip}">{_written(content)}</span>'


def _written(content: str) -> str:
    # A newline of its own would end the span without anything to point at.
    return text(neutral(content)).replace("\n", '<span class="mark">⏎</span>\n')


def _attributed(node: Node) -> list[tuple[str, list[Piece]]]:
    """The text in parts, each with the tokens it came with; those that share a character together.

    What cannot be told apart has no tokens.
    """
    found: list[tuple[str, list[Piece]]] = []
    data, tokens, at = b"", list[Piece](), 0
    for each in node.pieces:
        data, tokens = data + each.bytes, [*tokens, each]
        try:
            content = data.decode()
        except UnicodeDecodeError:
            continue
        # A stop string cuts the last ones off, and what is not said was a control token.
        if not node.text.startswith(content, at):
            break
        found.append((content, tokens))
        data, tokens, at = b"", [], at + len(content)
    return [*found, (node.text[at:], [])] if at < len(node.text) else found
