"""Log-probabilities of several continuations of each of some prompts, each computed once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.prefix import PrefixCache, begin
from gptcli.engine.asking.sampling import check_finite
from gptcli.engine.runner import CHUNK, HEAD_ROWS, Runner
from gptcli.engine.state.model_state import ModelState

#: What bounds a batch: rows, and bytes of their states, each row having a copy of the prompt's.
ROWS = 32
CACHE_BYTES = 512 << 20
#: Tokens, padding included, that go through the decoder at once.
TOKENS = 4 * CHUNK


class Through(Protocol):
    """What runs prompts, by their places, or of each of them the row of that number behind it."""

    def __call__(self, prompts: Sequence[int], rows: Sequence[int] | None = None) -> Runner:
        """A runner for a batch of these, in this order."""
        ...


def logprobs_after(
    prefix: PrefixCache,
    prompts: Sequence[Sequence[int]],
    rows: Sequence[Sequence[Sequence[int]]],
) -> list[list[list[float]]]:
    """Natural log-probability of every token of each row after its prompt: [prompt][row][token].

    Neither a prompt nor a row may be empty, and together they must fit the context; every prompt
    has as many rows as the others. What the prompts have in common is computed once; rows run in
    batches on copies of what their prompts left behind. Raises NonFiniteError where the model
    gives no distribution.
    """
    state, logits = begin(prefix, prompts)
    return logprobs_from(prefix.runner, state, logits, rows)


def logprobs_from(
    runner: Runner,
    state: ModelState,
    logits: Array,
    rows: Sequence[Sequence[Sequence[int]]],
    through: Through | None = None,
) -> list[list[list[float]]]:
    """The same after what a state holds, a prompt in each row, with the logits after each.

    The state stays as it is. through: what runs rows, where that is not the same for all.
    """
    firsts = logprobs(logits, [[row[0] for row in each] for each in rows])
    flat = [row for each in rows for row in each]
    places = [(at, number) for at, each in enumerate(rows) for number in range(len(each))]
    found = [[logprob] for logprob in firsts]
    for batch in _batches(runner, max(state.lengths), flat):
        # What stands before a token gives its logits, so the last token of a row is not run.
        longest = len(flat[batch[0]]) - 1
        step = max(TOKENS // len(batch), 1)
        prompts, numbers = zip(*(places[index] for index in batch), strict=True)
        branch = state.picked(list(prompts)) if longest else state
        for start in range(0, longest, step):
            end = start + step
            pieces = [flat[index][:-1][start:end] for index in batch]
            targets = [flat[index][start + 1 : end + 1] for index in batch]
            own = runner if through is None else through(prompts, numbers)
            parts = own.logits_of_rows(pieces, branch, most=HEAD_ROWS)
            values = _after(parts, targets)
            for index, ids in zip(batch, targets, strict=True):
                found[index] += [next(values) for _ in ids]
    each_row = iter(found)
    return [[next(each_row) for _ in each] for each in rows]


def _batches(runner: Runner, prompt: int, rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Indexes of rows that run together, the longest first: like lengths need little padding."""
    batch: list[int] = []
    for index in sorted(range(len(rows)), key=lambda index: -len(rows[index])):
        tokens = prompt + len(rows[batch[0] if batch else index])
        size = runner.spec.cache_bytes(tokens, runner.facts.itemsize, len(batch) + 1)
        if batch and (len(batch) == ROWS or size > CACHE_BYTES):
            yield batch
            batch = []
        batch.append(index)
    yield batch


def _after(parts: Iterable[Array], targets: Sequence[Sequence[int]]) -> Iterator[float]:
    """The log-probability of each target after its place in the parts, which stand in a row."""
    ids = [token for row in targets for token in row]
    at = 0
    for logits in parts:
        yield from logprobs(logits, [[token] for token in ids[at : at + len(logits)]])
        at += len(logits)


def logprobs(logits: Array, ids: Sequence[Sequence[int]]) -> list[float]:
    """Log-probabilities of as many ids of each row of the logits (rows, vocab), one after another.

    Raises NonFiniteError.
    """
    check_finite(logits)
    xp, wanted = namespace(logits), arrays.indices(ids, logits)
    found = xp.take_along_axis(arrays.log_softmax(logits), wanted, axis=-1)
    return [logprob for row in found.tolist() for logprob in row]
