"""A tree of texts as lines: in the terminal that it is grown in, and printed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TextIO

from gptcli.loom.node import Node
from gptcli.loom.tree import Tree
from gptcli.plain import dataclass
from gptcli.types.token import Source
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal import paint
from gptcli.ui.terminal.stream import variables_of
from gptcli.ui.terminal.visible import isolated, neutral, shortened, visible
from gptcli.ui.terminal.writer import TerminalWriter, width_of
from gptcli.ui.views.printing import blank, caption
from gptcli.ui.views.source import where
from gptcli.units import counted, percent

#: A number with the gap after it; where both fit beside a text.
NUMBER, _BOTH = len("100.00%") + 2, 72
#: At least so much of a line is text; guides of deeper nodes lose their beginning.
_TEXT = 24
#: The most cells of a guide where lines have no end: beyond, nobody counts them.
_GUIDE = 200
_UNKNOWN = "–"


@dataclass(frozen=True)
class Guides:
    """What is drawn before a node that has siblings, and before what stands below one."""

    middle: str = "├─"
    last: str = "└─"
    through: str = "│ "
    past: str = "  "
    cut: str = "…"
    mark: str = "★ "


LINES = Guides()
ASCII = Guides("|-", "`-", "| ", "  ", "<", "* ")


@dataclass(frozen=True)
class Row:
    """A line of the tree: its numbers, what leads to the text, and the text as one line."""

    node: Node
    numbers: str
    guide: str
    label: str


def heads(width: int | None) -> str:
    """The heads of the columns in front of the texts."""
    names = ("mean", "all") if _both(width) else ("mean",)
    return "".join(name.rjust(NUMBER - 2) + "  " for name in names) + "text"


def rows(
    tree: Tree, ids: Sequence[int], width: int | None = None, guides: Guides = LINES
) -> Iterator[Row]:
    """The lines of these nodes, of at most so many cells; None is without end.

    Numbers stand in front: cells that a terminal counts otherwise move no number.
    """
    for each in ids:
        node = tree.nodes[each]
        told = (mean_of(node), joint_of(node)) if _both(width) else (mean_of(node),)
        numbers = "".join(each.rjust(NUMBER - 2) + "  " for each in told)
        most = _GUIDE if width is None else max(width - len(numbers) - _TEXT, 2)
        guide, label = _guide(tree, each, guides, most), label_of(node, guides)
        if len(guide) > most:
            guide = guides.cut + guide[len(guide) - most + 1 :]
        if width is not None:
            label = shortened(label, width - len(numbers) - len(guide))
        yield Row(node, numbers, guide, label)


def _both(width: int | None) -> bool:
    return width is None or width >= _BOTH


def _guide(tree: Tree, at: int, guides: Guides, most: int) -> str:
    """A node without siblings stands right below its parent: only branching moves to the right.

    most: so many cells of its end are enough.
    """
    parts: list[str] = []
    node = tree.nodes[at]
    while node.parent is not None and len(parts) <= most:
        parent = tree.nodes[node.parent]
        if len(parent.children) > 1:
            is_last = parent.children[-1] == node.id
            if node.id == at:
                parts.append(guides.last if is_last else guides.middle)
            else:
                parts.append(guides.past if is_last else guides.through)
        node = parent
    return "".join(reversed(parts))


def mean_of(node: Node) -> str:
    """The mean probability of its tokens."""
    return _UNKNOWN if node.mean is None else percent(node.mean)


def joint_of(node: Node) -> str:
    """The probability of all its tokens together."""
    return _UNKNOWN if node.logprob is None else _joint(node.logprob)


def _joint(logprob: float) -> str:
    """In percent, and where that says nothing, 3e-08: a long text may be too improbable to be told
    as a number of the machine's.
    """
    if logprob > math.log(1e-4):
        return percent(math.exp(logprob))
    power = logprob / math.log(10)
    exponent = math.floor(power)
    digit = round(10 ** (power - exponent))
    return f"{digit}e{exponent:03d}" if digit < 10 else f"1e{exponent + 1:03d}"


def label_of(node: Node, guides: Guides = LINES) -> str:
    """A node's text as one line, with its mark, and that it is the end."""
    # Longer than any line is wide; the rest is for the page and for files.
    text = in_line(node.text)
    end = " (end)" if node.over else ""
    return f"{guides.mark if node.marked else ''}{text}{end}"


def in_line(text: str) -> str:
    """A text as one line, letters that join left joined."""
    return neutral(text).replace("\n", "⏎").replace("\t", "⇥")


def told(node: Node, path: Sequence[Node]) -> list[str]:
    """How a node came, in a few words each; path: the nodes that lead to it, itself the last."""
    if node.parent is None:
        return ["the prompt"]
    found = ["written by hand"] if node.way is None else []
    found += ["drawn, then edited by hand"] if node.edited else []
    if node.pieces:
        found.append(counted(len(node.pieces), "token"))
        found.append(f"mean {mean_of(node)}, all {joint_of(node)}")
    drawn = [each for each in path if each.parent is not None]
    if len(drawn) > 1 and all(each.pieces for each in drawn):
        found.append(f"path {_joint(math.fsum(each.logprob or 0.0 for each in drawn))}")
    ends = {"stop": "came to its end", "stopped": "stopped by hand"}
    found += [ends[node.ended]] if node.ended in ends else []
    if node.way is not None:
        found.append(f"seed {node.seed}")
        temperature = _temperature(node)
        found += [] if temperature is None else [f"temperature {temperature}"]
    source = node.judge or (node.way.source if node.way is not None else None)
    return [*found, *([] if source is None else [source.model])]


def _temperature(node: Node) -> object:
    """As it was asked for, where that was a number."""
    sampling = node.way.settings.get("sampling") if node.way is not None else None
    value = sampling.get("temperature") if isinstance(sampling, dict) else None
    return value if isinstance(value, int | float) else None


def tokens(node: Node) -> list[tuple[str, float]]:
    """Each token made visible, with its probability; the end by its name."""
    return [(visible(each.bytes), math.exp(each.logprob)) for each in node.pieces]


def sources(tree: Tree) -> list[Source]:
    """On what its texts were drawn, each once."""
    nodes = tree.nodes.values()
    found = [node.way.source for node in nodes if node.way is not None]
    found += [node.judge for node in nodes if node.judge is not None]
    return [each for each in dict.fromkeys(found) if each.device]


def show(tree: Tree, stream: TextIO) -> None:
    """The tree in lines, and what drew it; elsewhere than on a terminal each line is whole."""
    order = tree.order()
    if not stream.isatty():
        writer = DataWriter(stream)
        writer.write(f"{heads(None)}\n")
        for row in rows(tree, order):
            writer.write(f"{row.numbers}{row.guide}{row.label}\n")
        return
    width = width_of(stream)
    guides = ASCII if variables_of(stream).get("TERM") == "dumb" else LINES
    terminal = TerminalWriter(stream)
    terminal.line(heads(width), style="dim")
    for row in rows(tree, order, width, guides):
        line = paint.Text(row.numbers, style="cyan")
        line.append(row.guide, style="not cyan dim")
        line.append(isolated(row.label), style=f"not cyan {'bold' if row.node.marked else ''}")
        terminal.line(line)
    for each in sources(tree):
        blank(stream)
        caption(stream, where(each))
