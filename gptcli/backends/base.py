"""What every place to run can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gptcli.types.completion import Chunk, Request, Usage
from gptcli.types.events import Notice

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from gptcli.types.attention import Attention, AttentionRequest
    from gptcli.types.bench import BenchRequest, Speeds
    from gptcli.types.chat import ChatDocument, ChatRequest
    from gptcli.types.choose import Choices, ChooseRequest
    from gptcli.types.dtype_comparison import Rounding, RoundingRequest
    from gptcli.types.events import Progress
    from gptcli.types.explain import ExplainRequest, Round
    from gptcli.types.few_shot import FewShotEvent, FewShotRequest, Query
    from gptcli.types.lens import Lens, LensRequest
    from gptcli.types.neighbors import Neighbors, NeighborsRequest
    from gptcli.types.next_tokens import Candidate, Distribution, NextTokensRequest
    from gptcli.types.score import Score, ScoreRequest
    from gptcli.types.shapes import Shapes
    from gptcli.types.tree import Tree, TreeRequest

Event = Chunk | Notice | Usage


class Walk(Protocol):
    """A prompt that goes on one token at a time. Each new place costs one forward."""

    @property
    def room(self) -> int:
        """How many tokens the context still has room for."""
        ...

    @property
    def taken(self) -> bytes:
        """The bytes of all tokens that were taken."""
        ...

    def look(self) -> Distribution:
        """What may come here. Raises NonFiniteError where that is no distribution."""
        ...

    def draw(self) -> Candidate:
        """A token, drawn as `stream` with the same settings and seed would; not yet taken."""
        ...

    def take(self, token: int) -> None:
        """Append a token, by its id. Raises ValueError where there is no room."""
        ...


class Backend(Protocol):
    """A place where a Request becomes text."""

    def stream(self, request: Request) -> Iterator[Event]:
        """Chunks as they come, notices where due, and one Usage last.

        Raises the errors of `gptcli.errors`; the chunks before one stand. Nothing runs before the
        first event is asked for, and closing the iterator stops the work.
        """
        ...

    def next_tokens(self, request: NextTokensRequest) -> Distribution:
        """What comes after a prompt: the distribution, before and after the sampler."""
        ...

    def walk(self, request: NextTokensRequest, *, seed: int) -> Walk:
        """The same, to go on from; the seed is that of its draws."""
        ...

    def score(self, request: ScoreRequest) -> Score:
        """How probable each token of a text was.

        Raises InputError where there is nothing to score, UsageError for a stride that is not
        less than the context, NonFiniteError.
        """
        ...

    def rounding(self, request: RoundingRequest) -> Rounding:
        """How far a dtype is from float32, in which the model was opened (else ValueError).

        Both models are in memory, and run the text side by side, in parts. Raises the errors of
        `score`, and UsageError for a dtype in which the model cannot run here.
        """
        ...

    def choose(self, request: ChooseRequest) -> Choices:
        """Which of several continuations is the most probable.

        Raises InputError for a choice without a token and for a prompt too short to begin from,
        ContextError where prompt and choice do not fit, NonFiniteError.
        """
        ...

    def tree(self, request: TreeRequest) -> Tree:
        """The most probable continuations, as a tree.

        Raises UsageError for a tree of too many nodes, and the errors of a prompt.
        """
        ...

    def chat(self, request: ChatRequest) -> Iterator[Event]:
        """The assistant's answer, as `stream` gives a completion: chunks of one sample.

        Turns that were computed for an earlier request are not computed again. Raises InputError
        for messages that the model's form cannot take, ContextError where they do not fit.
        """
        ...

    def chat_document(self, request: ChatRequest) -> ChatDocument:
        """The exact document that `chat` would continue."""
        ...

    def chat_next_tokens(self, request: ChatRequest, rows: int) -> Distribution:
        """What may come where the conversation ends: after the last answer, or for its begin."""
        ...

    def few_shot(
        self, request: FewShotRequest, queries: Iterable[Query | None]
    ) -> Iterator[FewShotEvent]:
        """An Answer to each query, in order and as they come, and one FewShotUsage.

        That comes last, or before an error. None among the queries says that there are no more for
        the moment: what came is answered. What an error of `queries` comes after is answered first.
        Raises ContextError for a query that does not fit with its examples.
        """
        ...

    def few_shot_document(self, request: FewShotRequest, query: Query) -> ChatDocument:
        """The exact document that `few_shot` would continue for a query."""
        ...

    def explain(self, request: ExplainRequest, *, seed: int) -> Iterator[Round]:
        """The walk through the model to the next token, and on from there.

        Raises UsageError for a layer that is not there, ContextError where no token has room.
        """
        ...

    def shapes(self, prompt: str, *, special: bool) -> Shapes:
        """The model's tensors, and those that a prompt makes on its way."""
        ...

    def neighbors(self, request: NeighborsRequest) -> Neighbors:
        """Which tokens lie near words, or near a word in its context.

        Raises InputError for a context without the word, UsageError for a layer that is not there.
        """
        ...

    def attention(self, request: AttentionRequest) -> Attention:
        """Who looks at whom: attention weights.

        Raises UsageError for a layer, head or window that is not there, or for too many weights.
        """
        ...

    def lens(self, request: LensRequest) -> Lens:
        """What the stream would say after every layer.

        Raises InputError for a text to track that is not one token, NonFiniteError.
        """
        ...

    def bench(self, request: BenchRequest) -> Generator[Progress | Notice, None, Speeds]:
        """How fast the model is; of the measures, those that need no process of their own.

        Yields how many rounds of each measure are done. Raises ContextError, before anything is
        measured, where one does not fit into the context, ResourceError.
        """
        ...
