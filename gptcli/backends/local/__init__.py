"""The engine of this machine: the only place where text meets token ids and tensors.

`opened` holds an open model; each other file answers one kind of request with it.
"""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.backends.base import Event, Walk
from gptcli.backends.local.opened import OpenModel
from gptcli.inspection.choose import Choices, ChooseRequest
from gptcli.inspection.next_tokens import Distribution, NextTokensRequest
from gptcli.inspection.score import Score, ScoreRequest
from gptcli.inspection.tree import Tree, TreeRequest
from gptcli.types import Request


class LocalBackend:
    """A model of this disk, loaded."""

    def __init__(self, model: OpenModel) -> None:
        self._open = model

    def stream(self, request: Request) -> Iterator[Event]:
        """See Backend.stream. Notices about the prompt come first."""
        from gptcli.backends.local.completion import Completion

        yield from Completion(self._open, request).events()

    def next_tokens(self, request: NextTokensRequest) -> Distribution:
        """See Backend.next_tokens."""
        from gptcli.backends.local.next_tokens import LocalWalk

        return LocalWalk(self._open, request).look()

    def walk(self, request: NextTokensRequest, *, seed: int) -> Walk:
        """See Backend.walk."""
        from gptcli.backends.local.next_tokens import LocalWalk

        return LocalWalk(self._open, request, seed=seed)

    def score(self, request: ScoreRequest) -> Score:
        """See Backend.score."""
        from gptcli.backends.local.score import score

        return score(self._open, request)

    def choose(self, request: ChooseRequest) -> Choices:
        """See Backend.choose."""
        from gptcli.backends.local.choose import choose

        return choose(self._open, request)

    def tree(self, request: TreeRequest) -> Tree:
        """See Backend.tree."""
        from gptcli.backends.local.tree import tree

        return tree(self._open, request)
