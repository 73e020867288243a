"""`gptcli tree`, on a tiny model of random weights."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pyte
import pytest

from gptcli.ui.data.writer import cell
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line

PROMPT = "the cat sat"


@pytest.fixture
def tree(tiny_model: Path):
    """`tree` on the tiny model."""
    return lambda *argv, **more: run("tree", "-m", str(tiny_model), *argv, **more)


def nodes(found: dict, depth: int = 0) -> list[tuple[int, dict]]:
    return [(depth, found)] + [n for child in found["children"] for n in nodes(child, depth + 1)]


def test_json_is_nested_and_adds_up(tree):
    """Catches a joint probability that is not the product of its path."""
    found = json.loads(tree("--json", PROMPT).text)
    every = nodes(found)[1:]
    assert len(every) == found["nodes"] == 39
    assert found["dtype"] == "float32" and found["device"] == "cpu"

    def check(node: dict, before: float) -> None:
        for child in node["children"]:
            assert child["joint_logprob"] == pytest.approx(before + child["logprob"])
            assert child["joint_probability"] == pytest.approx(math.exp(child["joint_logprob"]))
            assert child["probability"] == pytest.approx(math.exp(child["logprob"]))
            check(child, child["joint_logprob"])

    check(found, 0.0)


def test_the_first_path_is_the_greedy_completion(tree, tiny_model):
    """Catches branches that are not the likeliest, or in another order."""
    node = json.loads(tree("--json", "--width", "2", "--depth", "5", PROMPT).text)
    data = b""
    while node["children"]:
        node = node["children"][0]
        data += bytes(node["bytes"])
    greedy = run("complete", "-m", str(tiny_model), "--temp", "0", "-n", "5", PROMPT)
    assert data.decode(errors="replace") == greedy.text


def test_rows_are_the_nodes(tree):
    """Catches a node left out of the rows, and white space that breaks them."""
    every = nodes(json.loads(tree("--json", PROMPT).text))[1:]
    head, *rows = [line.split("\t") for line in tree(PROMPT).text.splitlines()]
    assert head == ["depth", "joint", "probability", "token", "text"]
    assert [int(row[0]) for row in rows] == [depth for depth, _ in every]
    joints = [node["joint_probability"] for _, node in every]
    assert [float(row[1]) for row in rows] == pytest.approx(joints, rel=1e-5)
    path: list[bytes] = []
    for row, (depth, node) in zip(rows, every, strict=True):
        path = [*path[: depth - 1], bytes(node["bytes"])]
        assert row[3:] == [cell(path[-1]), cell(b"".join(path))]


def test_min_p_prunes_by_the_joint_probability(tree):
    """Catches --min-p read as the sampler's, or as a threshold for each token."""
    whole = nodes(json.loads(tree("--json", PROMPT).text))[1:]
    joints = sorted(node["joint_probability"] for _, node in whole)
    least = (joints[20] + joints[21]) / 2
    found = nodes(json.loads(tree("--json", "--min-p", str(least), PROMPT).text))[1:]
    kept = [(depth, n["id"]) for depth, n in whole if n["joint_probability"] >= least]
    assert [(depth, n["id"]) for depth, n in found] == kept
    assert len(kept) == 18
    assert tree("--min-p", "1", PROMPT).text.count("\n") == 1
    assert "no token is 100.00% probable" in tree("--min-p", "1", PROMPT, terminal=True).text


def test_an_end_token_is_a_leaf(tree, tiny_model, tmp_path):
    """Catches a text that goes on after its end, and an end that is not shown as one."""
    first = json.loads(tree("--json", PROMPT).text)["children"][0]
    for file in tiny_model.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": first["id"]}))
    flags = ("tree", "-m", str(tmp_path), PROMPT)
    found = json.loads(run(*flags, "--json").text)["children"]
    assert [node["ends"] for node in found] == [True, False, False]
    assert found[0]["children"] == [] and len(found[1]["children"]) == 3
    assert "(end)" in run(*flags, terminal=True).text
    assert run(*flags).text.splitlines()[1].split("\t")[4] == ""


def screen(text: str, width: int) -> list[str]:
    """The lines of the tree as a person sees them, without what stands below it."""
    drawn, below = text.split("\n\n")
    assert "float32" in below
    shown = pyte.Screen(width, 150)
    pyte.Stream(shown).feed(drawn.replace("\n", "\r\n"))
    return [line.rstrip() for line in shown.display if line.strip()]


@pytest.mark.parametrize("width", [20, 27, 40, 60, 200])
@pytest.mark.parametrize(("depth", "branches"), [(3, 3), (6, 2), (20, 1)])
def test_lines_fit_the_terminal(tree, width, depth, branches, monkeypatch):
    """Catches a line that breaks, guides that leave no room for the token, and a lost number."""
    monkeypatch.setenv("COLUMNS", str(width))
    flags = ("--depth", str(depth), "--width", str(branches), PROMPT)
    lines = screen(tree(*flags, terminal=True).text, width)
    assert len(lines) == 1 + sum(branches**level for level in range(1, depth + 1))
    assert all("%" in line and len(line) <= width for line in lines[1:])
    assert "joint" in lines[0]


def test_guide_lines(tree, monkeypatch):
    """Catches guides that lead nowhere, colour codes and boxes on a dumb terminal."""
    monkeypatch.setenv("COLUMNS", "60")
    is_led = lambda line, guide: re.match(re.escape(guide) + r" \S", line)  # noqa: E731
    flags = ("--depth", "2", "--width", "2", PROMPT)
    lines = screen(tree(*flags, terminal=True).text, 60)[1:]
    expected = ["├─", "│  ├─", "│  └─", "└─", "   ├─", "   └─"]
    assert all(map(is_led, lines, expected)) and len(lines) == 6
    monkeypatch.setenv("TERM", "dumb")
    text = tree(*flags, terminal=True).text
    assert "\x1b" not in text and "█" not in text
    expected = ["|-", "|  |-", "|  `-", "`-", "   |-", "   `-"]
    assert all(map(is_led, text.splitlines()[1:], expected))


def test_dot_is_quoted(tree):
    """Catches a quote, a backslash or an entity in a text that breaks or changes the graph."""
    text = tree("--dot", "--depth", "2", 'say "a\\n" &lt;\n').text
    assert text.startswith("digraph tree {\n") and text.endswith("}\n")
    assert '  n0 [label="say␣\\"a\\\\n\\"␣&amp;lt;⏎", shape=plaintext];\n' in text
    assert len(re.findall(r"^  n\d+ -> n\d+ \[label=\"[\d.<]+%\"\];$", text, re.M)) == 12
    for label in re.findall(r'label="((?:[^"\\]|\\.)*)"', text):
        assert re.fullmatch(r'(?:[^"\\&]|\\["\\n]|&amp;)*', label)


@pytest.mark.parametrize(
    ("argv", "code", "part"),
    [
        (("--depth", "0", PROMPT), 2, "--depth"),
        (("--width", "0", PROMPT), 2, "--width"),
        (("--min-p", "2", PROMPT), 2, "--min-p"),
        (("--min-p", "nan", PROMPT), 2, "--min-p"),
        (("--json", "--dot", PROMPT), 2, "--dot"),
        (("--depth", "9", PROMPT), 2, "29,523 nodes, and 10,000 are allowed"),
        (("--depth", "99", "--width", "999", PROMPT), 2, "nodes, and 10,000 are allowed"),
        (("--depth", "20", "--width", "300", "--min-p", "1e-30", PROMPT), 2, "1e-30 probable"),
        (("--depth", "62", "--width", "1", PROMPT), 5, "with 62 more than the context of 64"),
        (("",), 4, "prompt: is empty"),
        (("-m", "echo", PROMPT), 2, "echo: cannot"),
    ],
)
def test_bad_input(tree, argv, code, part):
    """Catches a tree that would never end, and flags that cannot be."""
    assert_one_line(tree(*argv), code, part)
