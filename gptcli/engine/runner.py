"""What runs a model: ids in, logits of the next token out, by torch or by the kernels of a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from gptcli.engine.arrays import Array
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.state.model_state import ModelState
from gptcli.engine.state.page_memory import PAGE
from gptcli.engine.state.paged_state import PagedState
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.events import Notice

if TYPE_CHECKING:
    from gptcli.engine.edits import Edit
    from gptcli.engine.probe import Watching

#: Tokens of a prompt that go through the decoder at once. It bounds the memory of a prefill and
#: how long Ctrl-C waits, and is large enough to keep the matrix units busy.
CHUNK = 512
#: Positions of one text whose logits are held at once where all of them are wanted.
HEAD_ROWS = 128


@dataclass(frozen=True)
class RunnerFacts:
    """What a runner says of itself, for labels, benches and what has to fit into memory.

    device, dtype: where and in what it computes, as --device and --dtype name it. activations: what
    these are where they meet the weights, kv_dtype: what keys and values are kept in, both None
    where the dtype says it. itemsize: bytes of a number in the KV cache; of one byte they are
    codes, see `LayerShape.widths`. threads: how many of a CPU compute, None on a GPU. instructions:
    the kernels' set, None where torch computes. weight_bytes: what a token of one row reads, see
    `traffic`.
    alike: whether a token has the same numbers alone and among others, to the last bit.
    """

    device: str
    dtype: str
    activations: str | None
    itemsize: int
    threads: int | None
    instructions: str | None
    weight_bytes: int
    alike: bool = False
    kv_dtype: str | None = None


class Chain(Protocol):
    """What goes on with tokens that stand where they were drawn, on a device, waiting for none."""

    def next(self, ids: Array) -> Array:
        """Append ids (rows,) to the rows of the state; logits of what follows, (rows, vocab)."""
        ...

    def put(self, numbers: Sequence[Sequence[float]]) -> Array:
        """Numbers as float64 on the device, without waiting for what it does."""
        ...

    def fetch(self, numbers: Array) -> Callable[[], list[Any]]:
        """Begin to bring numbers back; what waits for them, and has them as lists."""
        ...


class Runner(Protocol):
    """A model in its place. `limit` is the context in use, at most the model's own; `notices` are
    what a user should know of how it came there.

    Logits are float32 arrays, of numpy or torch as the runner computes. Ids that are given with a
    state are appended to its rows. A `probe` sees what happens inside, of one row or of each.
    """

    spec: ModelSpec
    limit: int
    notices: tuple[Notice, ...]

    @property
    def facts(self) -> RunnerFacts:
        """What it says of itself; told once, and the same from then on."""
        ...

    @property
    def fingerprint(self) -> str | None:
        """All that its numbers depend on, in 64 hex digits: where they are equal, so are all bits.

        None where what comes after a beginning depends on how that was computed.
        """
        ...

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What every pass changes on its way."""
        ...

    def edited(self, edits: Sequence[Edit]) -> Runner:
        """The same model, whose passes change this on their way, behind what they change already.

        States of both are of one kind. Raises ValueError for what the model does not have.
        """
        ...

    def wait(self) -> None:
        """Return when all is computed that was asked for: a GPU works on behind Python's back."""
        ...

    def memory_reader(self, size: int) -> Callable[[], None]:
        """What reads `size` bytes of memory, where weights stand and by as many threads.

        They are taken at once and kept as long as the function is.
        """
        ...

    def new_state(self, batch: int = 1) -> ModelState:
        """An empty state for `batch` rows."""
        ...

    def new_pages(self, pages: int, *, size: int = PAGE) -> PagedState:
        """A state of rows that come and go, of at most so many pages together.

        size: positions of a page; for the kernels, a multiple of PAGE.
        """
        ...

    def run(self, rows: Sequence[Sequence[int]], state: PagedState, wanted: Sequence[int]) -> Array:
        """Append ids to every row of the state, to none less than one; logits (wanted, vocab).

        wanted: rising places among all ids, row after row. A row's numbers are the same whatever
        runs beside it as far as the device does its sums in the same order.
        """
        ...

    def prefill(
        self, rows: Sequence[Sequence[int]], state: ModelState, *, probe: Watching | None = None
    ) -> Array:
        """Run prompts, one per row of the state, none empty; logits after each, (batch, vocab)."""
        ...

    def decode(
        self, ids: Sequence[int], state: ModelState, *, probe: Watching | None = None
    ) -> Array:
        """Append one id to every row of the state; logits of what follows, (batch, vocab)."""
        ...

    def chain(self, state: ModelState) -> Chain | None:
        """What appends to a state that can go back; None where nothing is won by not waiting."""
        ...

    def all_logits(self, row: Sequence[int], state: ModelState) -> Array:
        """Logits after every token of one row, (time, vocab). Memory grows with both."""
        ...

    def logits_in_parts(
        self,
        row: Sequence[int],
        state: ModelState,
        *,
        first: int = 0,
        chunk: int = CHUNK,
        rows: int = HEAD_ROWS,
    ) -> Iterator[Array]:
        """Logits after every token of one row from position `first` on, in order.

        Each part is (at most `rows`, vocab), so that memory does not grow with the text.
        """
        ...

    def logits_of_rows(
        self, rows: Sequence[Sequence[int]], state: ModelState, *, most: int = HEAD_ROWS
    ) -> Iterator[Array]:
        """Logits after every token of every row, some perhaps empty, row after row.

        Each part is (at most `most`, vocab).
        """
        ...

    def logits_of_streams(self, streams: Array) -> Array:
        """What streams (n, width), before the final norm, are read out as, (n, vocab)."""
        ...

    def normed(self, streams: Array) -> Array:
        """Streams (n, width) behind the final norm, which the head reads; float32."""
        ...

    def embeddings(self, ids: Sequence[int]) -> Array:
        """Rows of the input embedding, (ids, width), float32; perhaps views of the weights."""
        ...

    def weights(self, name: str, rows: Sequence[int] | None = None) -> Array | None:
        """Rows of a parameter, float32, all where `rows` is None; None where the model has none.

        By its name in `shapes`, and "unembedding.weight" also where that is the embedding. Adapters
        are added; the weight of a norm is as it multiplies.
        """
        ...

    def sinks(self, layer: int) -> Array | None:
        """The score more that each head of a layer has, (heads,), float32."""
        ...

    def layer_scale(self, layer: int) -> float:
        """What the stream is multiplied by when a layer leaves it."""
        ...

    def shapes(self) -> Iterable[tuple[str, tuple[int, ...]]]:
        """Every parameter's name and shape, each once."""
        ...


def context_in_use(spec: ModelSpec, limit: int | None) -> int:
    """What --ctx-size allows, or all that the model has. Raises UsageError for more than that."""
    if limit is not None and limit > spec.context:
        raise UsageError("--ctx-size", f"{limit} is more than the model's context, {spec.context}")
    return spec.context if limit is None else limit
