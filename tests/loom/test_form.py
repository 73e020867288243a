"""The file: what is written is read again, and what a stranger wrote is looked at first."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gptcli.errors import InputError, ResourceError
from gptcli.loom import Piece, Tale, Way, as_json, encode, read_file, write_file
from gptcli.loom.form import decode
from gptcli.types.token import Source
from tests.loom.test_tale import WAY, grown


@pytest.fixture
def tale() -> Tale:
    """One with everything that a node can be."""
    found = Tale("the\ncat \u202e", 7)
    one, two = grown(found, 0, " sat", " ran")
    grown(found, one, "\x1b[31m日本 👨‍👩‍👧")
    found.edit(two, " hid")
    found.mark(two)
    found.judge(found.add(0, " mine"), [Piece(b" mine", -9.5)], Source("j", "cpu", "int8", ("a",)))
    far = Source("o", "", None, ("a",), "int8", "s", ("v",), "f16")
    (at,) = found.begin(two, 1, replace(WAY, source=far))
    found.grow(at, "é", [Piece(b"\xc3", -1.5), Piece(b"\xa9", -0.0), Piece(b"<e>", -2.0, True)])
    found.settle()
    return found


def test_it_comes_back(tale, tmp_path):
    """Catches anything that is not kept: bytes, marks, the way, the seed that comes next."""
    file = tmp_path / "tale.json"
    write_file(file, tale)
    found = read_file(file)
    assert found.nodes == tale.nodes
    assert (found.seed, found.at, found.next) == (tale.seed, tale.at, tale.next)
    assert encode(found) == file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(json.loads(file.read_bytes())["ways"]) == 2


def test_it_is_written_whole_or_not_at_all(tale, tmp_path):
    """Catches a link that is replaced, a pipe that is written to, and remains of a failure."""
    file, link = tmp_path / "tale.json", tmp_path / "link.json"
    file.write_text("old")
    link.symlink_to(file)
    write_file(link, tale)
    assert link.is_symlink() and read_file(file).nodes == tale.nodes
    with pytest.raises(ResourceError, match="is not a file"):
        write_file(tmp_path, tale)
    with pytest.raises(ResourceError):
        write_file(tmp_path / "none" / "tale.json", tale)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link.json", "tale.json"]


def changed(tale: Tale, where: tuple[Any, ...], value: Any) -> bytes:
    """A file in which one value is another."""
    found = as_json(tale)
    place: Any = found
    for each in where[:-1]:
        place = place[each]
    place[where[-1]] = value
    return json.dumps(found).encode()


@pytest.mark.parametrize(
    ("where", "value", "why"),
    [
        (("version",), 2, "version 1"),
        (("object",), "tree", "no tree of gptcli loom"),
        (("nodes",), {}, "must be a list"),
        (("nodes",), [], "has no prompt"),
        (("nodes",), [{}] * 20_001, "more than 20,000"),
        (("nodes", 0), 5, "no object with a text"),
        (("nodes", 0, "id"), 1, "has no prompt|no parent|two nodes"),
        (("nodes", 1, "id"), 0, "two nodes 0"),
        (("nodes", 1, "id"), True, "'id' must be"),
        (("nodes", 1, "parent"), 3, "node 1 has no parent before it"),
        (("nodes", 1, "parent"), 1, "node 1 has no parent before it"),
        (("nodes", 1, "parent"), None, "node 1 has no parent before it"),
        (("nodes", 1, "parent"), "0", "'parent' must be"),
        (("nodes", 1, "text"), None, "no object with a text"),
        (("nodes", 1, "ended"), "never", "ended by none of"),
        (("nodes", 1, "way"), 9, "'way' must be"),
        (("nodes", 1, "seed"), -1, "'seed' must be"),
        (("nodes", 1, "tokens"), [[256]], "neither a text nor bytes"),
        (("nodes", 1, "tokens"), [], "one log-probability for each"),
        (("nodes", 1, "logprobs"), ["0"], "one log-probability for each"),
        (("nodes", 1, "logprobs"), [10**400], "one log-probability for each"),
        (("nodes", 1, "judge"), "m", "a judge that is no object"),
        (("ways", 0), [], "a way that is no object"),
        (("ways", 0, "model"), 4, "a name that is no text"),
        (("at",), 99, "is at node 99"),
        (("next",), 1.5, "'next' must be"),
        (("seed",), 2**32, "'seed' must be"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(tale, where, value, why):
    """Catches a type, a cycle, an orphan or a number that is believed, and another exception."""
    with pytest.raises(InputError, match=why) as caught:
        decode(changed(tale, where, value), "tale.json")
    assert str(caught.value).startswith("tale.json: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b'{"a": 1, "a": 2}', b"\xff", b'{"seed": NaN}', b"[" * 9999, b'"\\ud800"'],
)
def test_what_is_no_json_object_is_an_error_of_its_file(data):
    """Catches a parser's own exception, and the exit code of a broken model."""
    with pytest.raises(InputError, match=r"tale\.json"):
        decode(data, "tale.json")


def test_limits_of_a_file(tmp_path, tale):
    """Catches depth, size and pipes that a file may bring in."""
    deep = [{"id": i, "parent": i - 1 if i else None, "text": "a"} for i in range(5001)]
    with pytest.raises(InputError, match="deeper than"):
        decode(changed(tale, ("nodes",), deep), "f")
    with pytest.raises(InputError, match="characters"):
        decode(changed(tale, ("nodes", 0, "text"), "a" * (16 << 20)), "f")
    hole = tmp_path / "hole"
    with hole.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="larger than 64 MiB"):
        read_file(hole)
    with pytest.raises(InputError, match="is not a file"):
        read_file(Path("/dev/zero"))
    with pytest.raises(InputError, match="cannot be read"):
        read_file(tmp_path / "none")


def test_what_is_read_cannot_be_more_than_what_may_be_grown(tale):
    """Catches a prompt that was drawn by a model, and an id that would be given twice."""
    data = changed(tale, ("nodes", 0, "way"), 0)
    assert decode(data, "f").nodes[0].way is None
    assert decode(changed(tale, ("next",), 0), "f").next == tale.next
    assert Way(Source("m", "cpu", "float32"), {}) != WAY
