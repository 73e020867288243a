"""Answers that are drawn by other programs."""

from __future__ import annotations

from gptcli.config import option
from gptcli.plain import dataclass


@dataclass(frozen=True)
class Graph:
    """Whether a tree is drawn by Graphviz."""

    dot: bool = option(
        False, "Print a graph for Graphviz.", panel="Output", brief="Print a graph for Graphviz."
    )
