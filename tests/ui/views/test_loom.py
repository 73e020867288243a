"""Trees of texts as they are printed, and for other programs."""

from __future__ import annotations

import io
import re
import subprocess
from shutil import which

import pytest
from markdown_it import MarkdownIt

from gptcli.loom import Node, Piece, Tale
from gptcli.loom.tree import Tree
from gptcli.ui import pages
from gptcli.ui.terminal import paint
from gptcli.ui.views.loom import ASCII, heads, joint_of, mean_of, rows, show, told
from gptcli.ui.views.loom_files import as_dot, as_markdown
from tests.loom.test_tale import WAY, grown
from tests.ui.screens import assert_unbroken, seen, written

#: What would be markup, a drawing or a command where it is not a text.
HOSTILE = (
    '"];}\\N\\l<script>alert(1)</script>&amp;\x1b]0;TAKEN\x07\u202e```\n```\n# no\n日本 👨‍👩‍👧 ש'
)


@pytest.fixture
def tale() -> Tale:
    """Three branches, one of which goes on by itself, and then branches again."""
    found = Tale("The cat", 0)
    one, two, _ = grown(found, 0, " sat", " ran", " hid")
    (deep,) = grown(found, one, " on")
    grown(found, deep, " the mat", " a mat")
    found.mark(two)
    found.add(two, HOSTILE)
    (at,) = found.begin(two, 1, WAY)
    found.grow(at, "", [Piece(b"<end>", -3000.0, ends=True)], "stop")
    found.settle()
    return found


def drawn(tree: Tree, width: int | None = None) -> list[str]:
    return [f"{row.guide}{row.label}" for row in rows(tree, tree.order(), width)]


def test_only_branching_moves_to_the_right(tale):
    """Catches guides that lead to nothing, and a chain that walks off the screen."""
    lines = drawn(tale)
    assert lines[:5] == ["The cat", "├─ sat", "│  on", "│ ├─ the mat", "│ └─ a mat"]
    assert lines[5].startswith("├─★  ran") and lines[-1] == "└─ hid"
    assert lines[-2] == "│ └─ (end)"
    for _ in range(50):
        tale.add(tale.at, "x") if not tale.here.over else tale.go(1)
    assert max(len(line.split("x")[0]) for line in drawn(tale)) < 50


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("term", ["xterm-256color", "dumb"])
def test_every_line_fits(tale, width, term):
    """Catches a line that the terminal breaks, and what only some terminals can draw."""
    for _ in range(width // 4):
        tale.go(tale.add(tale.here.parent or 0, " 日本語の文 and more than a line is wide" * 9))
        tale.add(tale.at, " one")
        tale.add(tale.here.parent or 0, " two")
    text = written(lambda stream: show(tale, stream), width, term)
    assert_unbroken(text, width)
    lines = seen(text, width)
    assert all(paint.cell_len(line) <= width for line in lines)
    assert ("all" in lines[0]) == (width >= 72)
    drawn = set("├└│★") & set(text)
    assert (not drawn and "\x1b[" not in text) if term == "dumb" else drawn == set("├└│★")


def test_a_pipe_gets_whole_texts(tale):
    """Catches a text that is cut where nobody looks, and lines that are none."""
    stream = io.StringIO()
    show(tale, stream)
    lines = stream.getvalue().split("\n")
    assert lines[0] == heads(None) and len(lines) == len(tale.nodes) + 2
    assert "\x1b" not in stream.getvalue() and any("# no" in line for line in lines)


def test_numbers_are_those_of_the_tokens():
    """Catches a mean that is no geometric one, and a product that is 0."""
    node = Node(1, 0, " ab", pieces=(Piece(b" a", -1.0), Piece(b"b", -2.0)), way=WAY, seed=4)
    assert mean_of(node) == "22.31%" and joint_of(node) == "4.98%"
    words = told(node, [Node(0, None, "x"), node])
    assert words == ["2 tokens", "mean 22.31%, all 4.98%", "seed 4", "m"]
    many = Node(1, 0, "", pieces=(Piece(b"a", -1000.0),) * 2, way=WAY)
    assert joint_of(many) == "3e-869"
    assert joint_of(Node(1, 0, "", pieces=(Piece(b"a", -9.21034037197629),))) == "1e-04"
    hand = Node(1, 0, " x")
    assert (mean_of(hand), joint_of(hand)) == ("–", "–") and told(hand, [hand]) == [
        "written by hand"
    ]


def test_guides_of_plain_terminals(tale):
    """Catches a sign that is not ASCII."""
    lines = [row.guide for row in rows(tale, tale.order(), 80, ASCII)]
    assert all(line.isascii() for line in lines)


def test_dot_is_one_graph_whatever_the_texts_are(tale):
    """Catches a text that ends its label, names a node, or is markup to Graphviz."""
    lines = list(as_dot(tale))
    assert lines[0] == "digraph loom {" and lines[-1] == "}"
    labels = [
        re.fullmatch(r'  n(\d+) \[label="((?:[^"\\\n]|\\.)*)", .*\];', each) for each in lines
    ]
    found = [each for each in labels if each]
    assert [int(each[1]) for each in found] == tale.order()
    assert sum("->" in each for each in lines) == len(tale.nodes) - 1
    (hostile,) = (each[2] for each in found if "script" in each[2])
    assert "\\\\N" in hostile and "&amp;amp;" in hostile
    assert all(each.replace("\u200d", "").isprintable() for each in lines)
    assert "penwidth=3" in "".join(lines) and "shape=oval" in "".join(lines)


@pytest.mark.skipif(which("dot") is None, reason="no Graphviz")
def test_graphviz_reads_it(tale):
    """Catches DOT that only looks like it."""
    text = "\n".join(as_dot(tale))
    subprocess.run(["dot", "-Tsvg"], input=text, text=True, check=True, capture_output=True)


def test_markdown_holds_every_text_and_nothing_of_them_is_markdown(tale):
    """Catches a fence that a text ends, a heading that it forges, HTML, a lost text."""
    tokens = MarkdownIt("commonmark").parse("\n".join(as_markdown(tale)))
    fences = [token.content.removesuffix("\n") for token in tokens if token.type == "fence"]
    assert fences[1:] == [tale.nodes[each].text for each in tale.order()]
    assert len(fences[0].splitlines()) == len(tale.nodes)
    headings = sum(token.type == "heading_open" for token in tokens)
    assert headings == len(tale.nodes) + 1
    assert not [token for token in tokens if token.type.startswith("html")]
    said = "\n".join(token.content for token in tokens if token.type == "inline")
    assert "After 0, 1 token, mean 60.65%, all 60.65%, seed 0" in said


def test_the_page_has_every_text_and_no_markup_of_theirs(tale):
    """Catches a text that becomes HTML, a token without its number, a branch that is not there."""
    tale.add(tale.at if not tale.here.over else 0, "</li></details>")
    (at,) = tale.begin(0, 1, WAY)
    tale.grow(at, "é!", [Piece(b"\xc3", -1.0), Piece(b"\xa9", -1.0), Piece(b"!?", -0.5)])
    tale.settle()
    page = pages.loom(tale)
    assert "<script>alert" not in page and "\x1b" not in page
    assert page.count("<details") == page.count("</details>") == page.count("<li>") == 9
    assert page.count("<ul>") == page.count("</ul>") == 3
    assert "\\xc3 36.79%\n\\xa9 36.79%" in page
    assert "!? 60.65%" not in page and ">é</span>!</span>" in page
    assert "★" in page and "(end)" in page


def test_deep_trees_are_drawn():
    """Catches a drawing that ends at Python's own limit."""
    nodes = {0: Node(0, None, "a", (1, 2))}
    for i in range(1, 6000, 2):
        nodes[i] = Node(i, max(i - 2, 0), "b", (i + 2, i + 3) if i < 5999 else ())
        nodes[i + 1] = Node(i + 1, max(i - 2, 0), "c")
    tree = Tale.of(nodes, seed=0, at=0, following=6001)
    assert pages.loom(tree).count("<details") == 6000
    stream = io.StringIO()
    show(tree, stream)
    assert max(map(len, stream.getvalue().split("\n"))) < 300
