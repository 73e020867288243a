"""Looms: texts that go on in several ways, as a tree of who wrote what, with undo, in a file."""

from gptcli.loom.form import as_json, encode
from gptcli.loom.node import Node, Piece, Way
from gptcli.loom.store import read_file, write_file
from gptcli.loom.tale import Settled, Tale

__all__ = [
    "Node",
    "Piece",
    "Settled",
    "Tale",
    "Way",
    "as_json",
    "encode",
    "read_file",
    "write_file",
]
