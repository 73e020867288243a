"""What is kept of a tree, and how it is written: one JSON object.

{"object": "loom", "version": 1, "seed": …, "at": …, "next": …, "ways": [{…}, …],
"nodes": [{"id": 0, "parent": null, "text": …}, {"id": 1, "parent": 0, "text": …, "seed": …,
"way": 0, "ended": "length", "tokens": [" a", …], "logprobs": [-0.5, …]}, …]}

Parents stand before their children, children in their order. A way is the model, on what it ran,
and its settings; a text of a person's that was judged has "judge", the same without settings. A
token that is no whole characters is a list of its bytes; "end": true says that
the last one ends the text, of which it is no part.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gptcli.errors import InputError, ModelError
from gptcli.formats.json import parse
from gptcli.loom.node import ENDS, Node, Piece, Way
from gptcli.loom.tale import DEEPEST, LONGEST, MOST_NODES, MOST_PIECES, Tale
from gptcli.types.token import Source

VERSION = 1
_IDS, _SEEDS = 2**31, 2**32
#: What a source says besides where there is something to say: in a word, and in a list of names.
_MAY_BE_SAID, _ADDED = ("activations", "server", "kv_dtype"), ("adapters", "steering")


def as_json(tale: Tale) -> dict[str, Any]:
    """A tree as the object in its file."""
    # Each way once, by how it is written.
    ways: dict[str, int] = {}
    nodes = [_node_json(tale.nodes[each], ways) for each in tale.order()]
    return {
        "object": "loom",
        "version": VERSION,
        "seed": tale.seed,
        "at": tale.at,
        "next": tale.next,
        "ways": [json.loads(each) for each in ways],
        "nodes": nodes,
    }


def encode(tale: Tale) -> bytes:
    """The bytes of a tree's file: a line for each way and each node."""
    found = as_json(tale)
    lists = {name: found.pop(name) for name in ("ways", "nodes")}
    parts = [_json(found).removesuffix("}")]
    for name, values in lists.items():
        lines = ",\n".join(map(_json, values))
        parts.append(f',\n"{name}": [\n{lines}\n]')
    return f"{''.join(parts)}}}\n".encode()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _node_json(node: Node, ways: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {"id": node.id, "parent": node.parent, "text": node.text}
    if node.way is not None:
        written = _json(_way_json(node.way))
        found |= {"seed": node.seed, "way": ways.setdefault(written, len(ways))}
    found |= {"ended": node.ended} if node.ended else {}
    found |= {"edited": True} if node.edited else {}
    found |= {"marked": True} if node.marked else {}
    found |= {"judge": _source_json(node.judge)} if node.judge is not None else {}
    if node.pieces:
        found["tokens"] = [_token_json(each.bytes) for each in node.pieces]
        found["logprobs"] = [each.logprob for each in node.pieces]
        found |= {"end": True} if node.over else {}
    return found


def _token_json(data: bytes) -> str | list[int]:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return list(data)


def _way_json(way: Way) -> dict[str, Any]:
    return _source_json(way.source) | {"settings": dict(way.settings)}


def _source_json(source: Source) -> dict[str, Any]:
    found: dict[str, Any] = {"model": source.model, "device": source.device, "dtype": source.dtype}
    more = {name: getattr(source, name) for name in _MAY_BE_SAID}
    more |= {name: list(getattr(source, name)) for name in _ADDED}
    return found | {name: value for name, value in more.items() if value}


def decode(data: bytes, subject: str) -> Tale:
    """The tree in a file's bytes. Raises InputError, naming `subject`, for anything else."""
    try:
        found = parse(data, subject)
    except ModelError as error:
        raise InputError(subject, error.reason) from None
    if found.get("object") != "loom" or found.get("version") != VERSION:
        raise InputError(subject, f"is no tree of gptcli loom, version {VERSION}")
    reader = _Reader(subject)
    ways = [reader.way(each) for each in reader.items(found, "ways", MOST_NODES)]
    nodes: dict[int, Node] = {}
    depths: dict[int, int] = {}
    children: dict[int, list[int]] = {}
    for each in reader.items(found, "nodes", MOST_NODES):
        node = reader.node(each, ways)
        if node.id in nodes:
            raise reader.wrong(f"has two nodes {node.id}")
        # Whatever hangs on itself, or on nothing, has a parent that is not before it.
        hangs = not nodes if node.parent is None else node.parent in nodes
        if not hangs:
            raise reader.wrong(f"node {node.id} has no parent before it")
        depth = 1 if node.parent is None else depths[node.parent] + 1
        if depth > DEEPEST:
            raise reader.wrong(f"is deeper than {DEEPEST:,} nodes")
        nodes[node.id], depths[node.id] = node, depth
        if node.parent is not None:
            children.setdefault(node.parent, []).append(node.id)
    if 0 not in nodes or nodes[0].parent is not None:
        raise reader.wrong("has no prompt, which is node 0")
    if sum(len(node.text) for node in nodes.values()) > LONGEST:
        raise reader.wrong(f"has more than {LONGEST:,} characters")
    if sum(len(node.pieces) for node in nodes.values()) > MOST_PIECES:
        raise reader.wrong(f"has more than {MOST_PIECES:,} tokens")
    at = reader.number(found, "at", _IDS)
    if at not in nodes:
        raise reader.wrong(f"is at node {at}, which is not there")
    hung = {i: replace(node, children=tuple(children.get(i, ()))) for i, node in nodes.items()}
    following = max(reader.number(found, "next", _IDS), max(nodes) + 1)
    return Tale.of(hung, seed=reader.number(found, "seed", _SEEDS), at=at, following=following)


class _Reader:
    """Checks what a stranger's file says, and names the file where it is wrong."""

    def __init__(self, subject: str) -> None:
        self._subject = subject

    def wrong(self, why: str) -> InputError:
        """The error for the file."""
        return InputError(self._subject, why)

    def items(
        self, found: Mapping[str, Any], name: str, most: int, absent: Sequence[Any] | None = None
    ) -> Sequence[Any]:
        """A list of so many values at most; `absent` where there is none."""
        value = found.get(name, absent)
        if not isinstance(value, list | tuple):
            raise self.wrong(f"{name!r} must be a list")
        if len(value) > most:
            raise self.wrong(f"{name!r} has more than {most:,} values")
        return value

    def number(self, found: Mapping[str, Any], name: str, below: int) -> int:
        """A whole number from 0 on."""
        value = found.get(name)
        if type(value) is not int or not 0 <= value < below:
            raise self.wrong(f"{name!r} must be a whole number from 0 to {below - 1}")
        return value

    def node(self, value: Any, ways: list[Way]) -> Node:
        """A node, without its children."""
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            raise self.wrong("holds a node that is no object with a text")
        number = self.number(value, "id", _IDS)
        parent = None if value.get("parent") is None else self.number(value, "parent", _IDS)
        ended = value.get("ended")
        if ended is not None and ended not in ENDS:
            raise self.wrong(f"node {number} ended by none of {', '.join(ENDS)}")
        drawn = "way" in value and parent is not None
        return Node(
            number,
            parent,
            value["text"],
            pieces=self._pieces(value, number),
            ended=ended if drawn else None,
            seed=self.number(value, "seed", _SEEDS) if drawn else None,
            way=ways[self.number(value, "way", len(ways))] if drawn else None,
            marked=value.get("marked") is True,
            edited=value.get("edited") is True,
            judge=self._source(value["judge"]) if "judge" in value else None,
        )

    def _pieces(self, value: Mapping[str, Any], number: int) -> tuple[Piece, ...]:
        if "tokens" not in value:
            return ()
        tokens = [self._token(each, number) for each in self.items(value, "tokens", MOST_PIECES)]
        logprobs = self.items(value, "logprobs", MOST_PIECES)
        if len(tokens) != len(logprobs) or not all(map(_finite, logprobs)):
            raise self.wrong(f"node {number} has not one log-probability for each token")
        last = len(tokens) - 1 if value.get("end") is True else None
        return tuple(
            Piece(token, float(logprob), at == last)
            for at, (token, logprob) in enumerate(zip(tokens, logprobs, strict=True))
        )

    def _token(self, value: Any, number: int) -> bytes:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, list) and all(type(b) is int and 0 <= b < 256 for b in value):
            return bytes(value)
        raise self.wrong(f"node {number} has a token that is neither a text nor bytes")

    def way(self, value: Any) -> Way:
        """A way to draw."""
        if not isinstance(value, dict) or not isinstance(value.get("settings"), dict):
            raise self.wrong("holds a way that is no object with settings")
        return Way(self._source(value), value["settings"])

    def _source(self, value: Any) -> Source:
        if not isinstance(value, dict):
            raise self.wrong("holds a judge that is no object")
        found = {
            name: None if value.get(name) is None else self._name(value[name])
            for name in ("dtype", *_MAY_BE_SAID)
        }
        model, device = (self._name(value.get(name)) for name in ("model", "device"))
        adapters, steering = (
            tuple(self._name(each) for each in self.items(value, name, 1000, ())) for name in _ADDED
        )
        return Source(model, device, **found, adapters=adapters, steering=steering)

    def _name(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        raise self.wrong("holds a way with a name that is no text")


def _finite(value: Any) -> bool:
    # Whole numbers may be too large to be told as others.
    return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)
