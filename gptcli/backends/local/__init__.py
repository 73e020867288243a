"""The engine of this machine: the only place where text meets token ids and tensors.

`opened` holds an open model; each other file answers one kind of request with it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from gptcli.backends.base import Event, Walk
    from gptcli.backends.local.chat import LocalChat
    from gptcli.backends.local.open_model import OpenModel
    from gptcli.types.attention import Attention, AttentionRequest
    from gptcli.types.bench import BenchRequest, Speeds
    from gptcli.types.chat import ChatDocument, ChatRequest
    from gptcli.types.choose import Choices, ChooseRequest
    from gptcli.types.completion import Request
    from gptcli.types.dtype_comparison import Rounding, RoundingRequest
    from gptcli.types.events import Notice, Progress
    from gptcli.types.explain import ExplainRequest, Round
    from gptcli.types.few_shot import FewShotEvent, FewShotRequest, Query
    from gptcli.types.lens import Lens, LensRequest
    from gptcli.types.neighbors import Neighbors, NeighborsRequest
    from gptcli.types.next_tokens import Distribution, NextTokensRequest
    from gptcli.types.score import Score, ScoreRequest
    from gptcli.types.shapes import Shapes
    from gptcli.types.tree import Tree, TreeRequest


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

    def rounding(self, request: RoundingRequest) -> Rounding:
        """See Backend.rounding."""
        from gptcli.backends.local.dtype_comparison import rounding

        return rounding(self._open, request)

    def choose(self, request: ChooseRequest) -> Choices:
        """See Backend.choose."""
        from gptcli.backends.local.choose import choose

        return choose(self._open, request)

    def tree(self, request: TreeRequest) -> Tree:
        """See Backend.tree."""
        from gptcli.backends.local.tree import tree

        return tree(self._open, request)

    def chat(self, request: ChatRequest) -> Iterator[Event]:
        """See Backend.chat."""
        yield from self._chat.answer(request)

    def chat_document(self, request: ChatRequest) -> ChatDocument:
        """See Backend.chat_document."""
        return self._chat.document(request)

    def chat_next_tokens(self, request: ChatRequest, rows: int) -> Distribution:
        """See Backend.chat_next_tokens."""
        return self._chat.next_tokens(request, rows)

    def few_shot(
        self, request: FewShotRequest, queries: Iterable[Query | None]
    ) -> Iterator[FewShotEvent]:
        """See Backend.few_shot."""
        from gptcli.backends.local.few_shot import FewShot

        yield from FewShot(self._open, request).answers(queries)

    def few_shot_document(self, request: FewShotRequest, query: Query) -> ChatDocument:
        """See Backend.few_shot_document."""
        from gptcli.backends.local.few_shot import FewShot

        return FewShot(self._open, request).document(query)

    def explain(self, request: ExplainRequest, *, seed: int) -> Iterator[Round]:
        """See Backend.explain."""
        from gptcli.backends.local.explain import explain

        yield from explain(self._open, request, seed=seed)

    def shapes(self, prompt: str, *, special: bool) -> Shapes:
        """See Backend.shapes."""
        from gptcli.backends.local.shapes import shapes

        return shapes(self._open, prompt, special=special)

    def neighbors(self, request: NeighborsRequest) -> Neighbors:
        """See Backend.neighbors."""
        from gptcli.backends.local.neighbors import neighbors

        return neighbors(self._open, request)

    def attention(self, request: AttentionRequest) -> Attention:
        """See Backend.attention."""
        from gptcli.backends.local.attention import attention

        return attention(self._open, request)

    def lens(self, request: LensRequest) -> Lens:
        """See Backend.lens."""
        from gptcli.backends.local.lens import lens

        return lens(self._open, request)

    def bench(self, request: BenchRequest) -> Generator[Progress | Notice, None, Speeds]:
        """See Backend.bench."""
        from gptcli.backends.local.bench import bench

        return bench(self._open, request)

    @cached_property
    def _chat(self) -> LocalChat:
        from gptcli.backends.local.chat import LocalChat

        return LocalChat(self._open)
