"""Trees of continuations as they are shown: drawn, as rows, as JSON, as Graphviz's DOT."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from gptcli.plain import dataclass
from gptcli.types.tree import Node, Tree
from gptcli.ui.data.values import logprob_json
from gptcli.ui.data.writer import DataWriter, Row
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.bars import bar
from gptcli.ui.terminal.stream import variables_of
from gptcli.ui.terminal.visible import isolated, shortened, visible
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views import source
from gptcli.ui.views.printing import blank, caption
from gptcli.ui.views.source import where
from gptcli.units import percent

_GAP = 2
_BAR = 12
_NUMBER = _GAP + len("100.00%")
#: Cells that a token needs at least; guides grow narrower in a tree too deep for the terminal,
#: and where even that is not enough, the depth stands there as a number.
_LEAST, _SHORTEST = 7, 4


@dataclass(frozen=True)
class _Guides:
    """What is drawn before a node: below a node that has more siblings, or has none."""

    middle: str
    last: str
    through: str
    past: str

    def cut(self, width: int) -> _Guides:
        """The same, `width` cells wide."""
        return _Guides(
            *(each[:width] for each in (self.middle, self.last, self.through, self.past))
        )


_LINES = _Guides("├─ ", "└─ ", "│  ", "   ")
_ASCII = _Guides("|- ", "`- ", "|  ", "   ")


def show(tree: Tree, stream: TextIO) -> None:
    """Drawn on a terminal, and whose numbers they are; one row per node elsewhere."""
    if stream.isatty():
        _draw(tree, stream)
        blank(stream)
        caption(stream, where(tree.source))
    else:
        DataWriter(stream).rows(_rows(tree))


def _rows(tree: Tree) -> Iterator[Row]:
    """Cells under heads, a row for each node, parents first."""
    yield ("depth", "joint", "probability", "token", "text")
    for node, depth, data in _walk(tree.children):
        joint, own = math.exp(node.joint_logprob), math.exp(node.logprob)
        yield (str(depth), f"{joint:.6g}", f"{own:.6g}", node.token.bytes, data)


def _walk(
    nodes: Sequence[Node], depth: int = 1, before: bytes = b""
) -> Iterator[tuple[Node, int, bytes]]:
    """Every node, its depth, and the bytes from the prompt to its end; parents first."""
    for node in nodes:
        # An end token ends the text and is not part of it.
        data = before if node.ends else before + node.token.bytes
        yield node, depth, data
        yield from _walk(node.children, depth + 1, data)


def _draw(tree: Tree, stream: TextIO) -> None:
    plain = variables_of(stream).get("TERM") == "dumb"
    guides = _ASCII if plain else _LINES
    writer = TerminalWriter(stream)
    drawn = list(_drawn(tree.children, guides))
    if not drawn:
        writer.paragraph(f"no token is {percent(tree.request.min_p)} probable", style="dim")
        return
    deepest = max(depth for _, _, depth in drawn)
    room = width_of(stream)
    full = room >= 2 * _NUMBER + _GAP + _BAR + deepest * len(guides.last) + _LEAST
    room -= 2 * _NUMBER + _GAP + _BAR if full else _NUMBER
    fits = (cells for cells in (3, 2) if room - cells * deepest >= _LEAST)
    cells = next(fits, 1 if room - deepest >= _SHORTEST else 0)
    if cells:
        drawn = list(_drawn(tree.children, guides.cut(cells)))
    else:
        drawn = [(f"{depth} ", node, depth) for _, node, depth in drawn]
    labels = [_label(node) for _, node, _ in drawn]
    longest = max(
        len(guide) + paint.cell_len(text) for (guide, *_), text in zip(drawn, labels, strict=True)
    )
    column = min(max(longest, len("token")), room)
    heads = ("next", "joint") if full else ("joint",)
    head = "token".ljust(column) + "".join(name.rjust(_NUMBER) for name in heads)
    writer.line(head, style="dim")
    for (guide, node, _), label in zip(drawn, labels, strict=True):
        text = shortened(label, column - len(guide))
        line = paint.Text(guide, style="dim")
        line.append(isolated(text), style="italic" if node.ends else "not dim")
        line.append(" " * (column - len(guide) - paint.cell_len(text)))
        joint = math.exp(node.joint_logprob)
        if full:
            line.append(percent(math.exp(node.logprob)).rjust(_NUMBER), style="not dim cyan")
        line.append(percent(joint).rjust(_NUMBER), style="not dim")
        if full:
            blocks = "#" * math.ceil(joint * _BAR) if plain else bar(joint, _BAR)
            line.append(" " * _GAP + blocks, style="not dim cyan")
        writer.line(line)


def _label(node: Node) -> str:
    text = visible(node.token.bytes)
    return f"{text} (end)" if node.ends else text


def _drawn(
    nodes: Sequence[Node], guides: _Guides, before: str = "", depth: int = 1
) -> Iterator[tuple[str, Node, int]]:
    """The guide of every node, the node, and its depth."""
    for place, node in enumerate(nodes):
        is_last = place == len(nodes) - 1
        yield before + (guides.last if is_last else guides.middle), node, depth
        below = before + (guides.past if is_last else guides.through)
        yield from _drawn(node.children, guides, below, depth + 1)


def as_json(tree: Tree) -> dict[str, Any]:
    """One object; `children` are nested, likeliest first, probabilities beside logarithms."""
    request = tree.request
    return {
        "object": "tree",
        **source.fields(tree.source),
        "prompt": request.prompt,
        "prompt_tokens": tree.prompt_tokens,
        "depth": request.depth,
        "width": request.width,
        "min_p": request.min_p,
        "nodes": sum(1 for _ in _walk(tree.children)),
        "children": [_json(node) for node in tree.children],
    }


def _json(node: Node) -> dict[str, Any]:
    return {
        **logprob_json(node.token, node.logprob),
        "probability": math.exp(node.logprob),
        "joint_logprob": node.joint_logprob,
        "joint_probability": math.exp(node.joint_logprob),
        "ends": node.ends,
        "children": [_json(child) for child in node.children],
    }


def as_dot(tree: Tree) -> Iterator[str]:
    """The lines of a Graphviz digraph: tokens and joint probabilities, edges with their own.

    Below it stands which model gave the numbers, in which precision.
    """
    yield "digraph tree {"
    yield "  rankdir=LR;"
    yield f'  label="{quoted(where(tree.source))}";'
    yield '  node [shape=box, style=rounded, fontname="sans-serif"];'
    yield '  edge [fontname="sans-serif"];'
    yield f'  n0 [label="{quoted(visible(tree.request.prompt.encode()))}", shape=plaintext];'
    numbers = iter(range(1, 1 << 62))

    def below(nodes: Sequence[Node], parent: int) -> Iterator[str]:
        for node in nodes:
            number = next(numbers)
            label = f"{quoted(_label(node))}\\n{percent(math.exp(node.joint_logprob))}"
            shape = ", shape=oval" if node.ends else ""
            yield f'  n{number} [label="{label}"{shape}];'
            yield f'  n{parent} -> n{number} [label="{percent(math.exp(node.logprob))}"];'
            yield from below(node.children, number)

    yield from below(tree.children, 0)
    yield "}"


def quoted(text: str) -> str:
    """A text inside the quotes of a label, where Graphviz reads escapes and HTML's entities."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
